"""A small web service: send a photo, get the person in it, cut out.

    python serve.py --port 8000
    curl --data-binary @photo.jpg http://127.0.0.1:8000/ -o person.png

Every request has a thread of its own; all share one module, which runs as many at a time as there
are cores. A body is taken as the bytes of an image file and as nothing else: a string from a
stranger could be a path or URL that this machine can reach. Python's http.server is for networks
that you trust; in a framework, `cut_out` stays as it is.
"""

import argparse
import os
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

import etseg

MAX_BYTES = 32 << 20
LIMITS = etseg.Limits(max_pixels=50_000_000)


def cut_out(module, data):
    """The bytes of a PNG, transparent around the person."""
    result = module.forward(data, ["SELFIE"], resize=True)
    picture = cv2.cvtColor(result.cutout("SELFIE"), cv2.COLOR_RGBA2BGRA)
    return cv2.imencode(".png", picture)[1].tobytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a client may be silent

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal():
            self.answer(411, "text/plain", b"the body's length has to be known\n")
        elif len(size) > 10 or int(size) > MAX_BYTES:
            self.answer(413, "text/plain", f"more than {MAX_BYTES} bytes\n".encode())
        else:
            data = self.rfile.read(int(size))
            try:
                self.answer(200, "image/png", cut_out(self.server.module, data))
            except (etseg.InvalidUserInputError, etseg.FileReadError) as error:
                self.answer(400, "text/plain", f"{error}\n".encode())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")  # a body that was refused is still on its way
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    args = parser.parse_args()
    module = etseg.ImageSegmentationModule(concurrency=os.cpu_count() or 1, limits=LIMITS)
    with module, ThreadingHTTPServer(("127.0.0.1", args.port), Handler) as server:
        module.load(etseg.SELFIE_SEGMENTATION)
        server.module = module
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
