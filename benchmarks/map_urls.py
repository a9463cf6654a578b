"""map() over URLs of a server with TLS on the loopback: images a second, and connections made.

    python benchmarks/map_urls.py [--images 200] [--repeat 3] [--latency 0.0]

The server is a process of its own, with a certificate made for this (`pip install trustme`). With
`--latency` it waits so many seconds before each handshake and each answer, as a distant one would.
"""

from __future__ import annotations

import argparse
import http.server
import multiprocessing
import os
import ssl
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import trustme

import etseg

PHOTO = Path(__file__).resolve().parents[1] / "tests" / "data" / "astronaut.jpg"


def serve(pipe: Connection, folder: str, latency: float) -> None:
    """Sends its port, then serves the photograph under every path; answers with a count."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(Path(folder) / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    photo = PHOTO.read_bytes()
    connections = 0

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:  # the base class's name
            time.sleep(latency)
            self.send_response(200)
            self.send_header("Content-Length", str(len(photo)))
            self.end_headers()
            self.wfile.write(photo)

    class Listener(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            nonlocal connections
            connections += 1
            time.sleep(latency)
            secured = context.wrap_socket(request, server_side=True)
            super().process_request_thread(secured, client_address)

        def handle_error(self, *_: object) -> None:
            pass

    listener = Listener(("127.0.0.1", 0), Handler)
    pipe.send(listener.server_port)
    import threading

    threading.Thread(target=listener.serve_forever, daemon=True).start()
    while pipe.recv():
        pipe.send(connections)
        connections = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    pipe, other = spawn.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        server = spawn.Process(target=serve, args=(other, folder, options.latency), daemon=True)
        server.start()
        address = f"https://127.0.0.1:{pipe.recv()}"
        os.environ["SSL_CERT_FILE"] = str(Path(folder) / "authority.pem")
        with etseg.ImageSegmentationModule() as module:
            module.load(etseg.SELFIE_SEGMENTATION)
            module.forward(PHOTO)
            rates, made = [], []
            for _ in range(options.repeat):
                start = time.perf_counter()
                for result in module.map(f"{address}/{n}.jpg" for n in range(options.images)):
                    if not isinstance(result, etseg.SegmentationResult):
                        raise result
                rates.append(options.images / (time.perf_counter() - start))
                pipe.send(True)
                made.append(pipe.recv())
        pipe.send(False)
        server.join()
    print(f"{options.images} images of {PHOTO.stat().st_size} bytes, latency {options.latency} s")
    print(f"images a second, median of {options.repeat}: {statistics.median(rates):.1f}")
    print(f"connections for all {options.repeat} runs: {sum(made)}")


if __name__ == "__main__":
    main()
