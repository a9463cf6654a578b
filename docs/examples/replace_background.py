"""Puts the person of a photo in front of another background.

    python replace_background.py photo.jpg beach.jpg -o beach-and-me.jpg
    python replace_background.py photo.jpg "#3060c0" -o id-card.png
    python replace_background.py photo.jpg blur -o portrait.jpg

The person's opacity is the network's probability, at the photo's size; what is below 10 % is left
out, or it would shimmer through. A pixel of the edge shows some of the old background, which would
glow before a darker one: a halo. So the person's own colour there is estimated from the colours
around, by two rounds of blurring (M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP
2021). Blending is in the files' own encoded values, as in photo editors, not in linear light:
probabilities are no measured opacities, and in linear light these edges look frayed and bright.
"""

import argparse
import re
import sys
from pathlib import Path

import cv2
import numpy as np

import etseg


def read(path):
    """A picture as a person sees it: float32 (height, width, 3) in 0..1, blue first."""
    picture = cv2.imdecode(np.frombuffer(path.read_bytes() or b"?", np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} is no picture that OpenCV reads")
    return picture.astype(np.float32) / 255


def opacity_of_person(photo):
    """float32 (height, width, 1) in 0..1."""
    with etseg.ImageSegmentationModule() as module:
        module.load(etseg.SELFIE_SEGMENTATION)
        pixels = np.rint(photo * 255).astype(np.uint8)
        result = module.forward(pixels, ["SELFIE"], resize=True, channel_order="bgr")
    return np.clip((result["SELFIE"][..., None] - 0.1) / 0.8, 0, 1)


def spread(colours, weight, radius):
    """Blurs colours; what has no weight does not bleed into the rest."""
    size = (2 * radius + 1, 2 * radius + 1)
    return cv2.stackBlur(colours * weight, size) / (cv2.stackBlur(weight, size)[..., None] + 1e-6)


def colours_of_person(photo, alpha):
    """The person's colours, also where the old background shines through."""
    person = backdrop = photo
    pixel = max(photo.shape) / 256  # of the network, in pixels of the photo
    for radius in (round(16 * pixel), round(3 * pixel)):
        person, backdrop = spread(person, alpha, radius), spread(backdrop, 1 - alpha, radius)
        missing = photo - alpha * person - (1 - alpha) * backdrop
        person = np.clip(person + alpha * missing, 0, 1)
    return person


def background_of(wish, photo, alpha):
    height, width = photo.shape[:2]
    if wish == "blur":
        return spread(photo, 1 - alpha, max(height, width) // 25)
    if re.fullmatch("#[0-9a-fA-F]{6}", wish):
        return np.frombuffer(bytes.fromhex(wish[1:]), np.uint8)[::-1].astype(np.float32) / 255
    picture = read(Path(wish))
    scale = max(height / picture.shape[0], width / picture.shape[1])  # covers the photo
    size = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else None)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return picture[top : top + height, left : left + width]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("background", help="a picture, a colour such as '#3060c0', or 'blur'")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .png or .jpg to write")
    args = parser.parse_args()
    if not cv2.haveImageWriter(str(args.output)):
        parser.error(f"{args.output}: OpenCV writes no {args.output.suffix!r} files")
    try:
        photo = read(args.photo)
        alpha = opacity_of_person(photo)
        background = background_of(args.background, photo, alpha)
        blended = alpha * colours_of_person(photo, alpha) + (1 - alpha) * background
        _, data = cv2.imencode(args.output.suffix, np.rint(blended * 255).astype(np.uint8))
        args.output.write_bytes(data)
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
