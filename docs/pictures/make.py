"""Makes the photographs of the documentation, the labels that DeepLab finds in them, and the
README's picture.

    python docs/pictures/make.py DEEPLAB.pte ASTRONAUT.png CHELSEA.png COFFEE.png
"""

import sys
from pathlib import Path

import cv2
import numpy as np

import etseg

HERE = Path(__file__).parent


def cropped(picture, width, height):
    """Scaled so that it covers the size, and cut around its centre."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width]


def written(name, picture, quality=75):
    cv2.imwrite(str(HERE / name), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return HERE / name


def labelled(name, photo, program):
    """Writes a photograph and its labels; returns the result."""
    result = etseg.segment(written(f"{name}.jpg", photo), model=program, argmax_dtype="uint8")
    cv2.imwrite(str(HERE / f"{name}-labels.png"), result.argmax)
    print(name, result)
    return result


def front(portrait, visit):
    """Pictures of one height in a row."""
    cutout = portrait.cutout("PERSON").astype(float)
    opacity = cutout[..., 3:] / 255
    squares = ((np.indices((512, 512)) // 16).sum(axis=0) % 2 * 40 + 205)[..., None]
    pictures = [
        portrait.overlay(alpha=0),
        portrait.overlay(),
        opacity * cutout[..., :3] + (1 - opacity) * squares,
        portrait.replace_background("blur"),
        visit.overlay(legend=True),
    ]
    return np.hstack(
        [cropped(p.astype(np.uint8), p.shape[1] * 320 // p.shape[0], 320) for p in pictures]
    )


def main():
    program, *paths = sys.argv[1:]
    person, cat, coffee = (cv2.imread(path) for path in paths)
    labelled("cat", cat, program)
    right = np.vstack([cropped(cat, 450, 300), cropped(coffee, 450, 300)])
    visit = labelled("visit", np.hstack([cropped(person, 450, 600), right]), program)
    portrait = etseg.segment(paths[0], classes=["PERSON"])
    written("front.jpg", front(portrait, visit)[..., ::-1])


if __name__ == "__main__":
    main()
