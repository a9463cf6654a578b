"""Paints the person of a video, frame by frame.

    python segment_video.py clip.mp4 -o painted.avi
    python segment_video.py 0 -o painted.avi        # the first camera, until Ctrl-C

Each forward writes over the arrays of the last one (`out=`), so that the loop allocates no maps.
The video that is written is Motion JPEG, without sound.
"""

import argparse
import sys

import cv2

import etseg


def opened(video, name):
    if not video.isOpened():
        raise OSError(f"{name} cannot be opened as a video")
    return video


def paint(source, output):
    """Returns how many frames it has written."""
    video = opened(cv2.VideoCapture(int(source) if source.isdigit() else source), source)
    size = tuple(int(video.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    written = opened(cv2.VideoWriter(output, cv2.VideoWriter.fourcc(*"MJPG"), rate, size), output)
    count, result = 0, None
    with etseg.ImageSegmentationModule(argmax_dtype="uint8") as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        try:
            while (read := video.read())[0]:
                frame = read[1]  # blue first, as OpenCV has it
                result = module.forward(frame, resize=True, channel_order="bgr", out=result)
                painted = result.overlay(alpha=0.6, palette={"SELFIE": "#56b4e9"})
                written.write(painted)
                count += 1
        except KeyboardInterrupt:
            pass  # a camera has no other end
    written.release()
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a video, or the number of a camera")
    parser.add_argument("-o", "--output", required=True, help="an .avi to write")
    args = parser.parse_args()
    try:
        count = paint(args.source, args.output)
    except (OSError, etseg.EtsegError) as error:
        sys.exit(f"{parser.prog}: {error}")
    print(f"{count} frames written to {args.output}")


if __name__ == "__main__":
    main()
