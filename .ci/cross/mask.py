"""Whether two builds of etseg see the same in a photograph.

mask.py PHOTO OUT.npz        segments it, in small and at full size
mask.py --compare A B        exits with 1 where the masks differ, or a probability by over 1e-4
"""

from __future__ import annotations

import platform
import sys

import numpy as np


def segment(photo: str, out: str) -> None:
    from etseg import SELFIE_SEGMENTATION, ImageSegmentationModule, SelfieSegmentationLabel

    person = SelfieSegmentationLabel.SELFIE
    maps = {}
    with ImageSegmentationModule() as module:
        module.load(SELFIE_SEGMENTATION)
        for resize in (False, True):
            result = module.forward(photo, classes_of_interest=[person], resize=resize)
            maps[f"mask_{resize}"] = result[SelfieSegmentationLabel.ARGMAX]
            maps[f"map_{resize}"] = result[person]
    np.savez(out, **maps)
    share = float((maps["mask_True"] == 0).mean())
    print(f"{platform.machine()}: {share:.4f} of the photograph is a person")


def compare(a: str, b: str) -> None:
    with np.load(a) as one, np.load(b) as other:
        for name in one.files:
            differing = int((one[name] != other[name]).sum())
            largest = float(np.abs(one[name] - other[name]).max())
            print(f"{name}: {differing} of {one[name].size} differ, by {largest:.2g} at most")
            if largest > (0 if name.startswith("mask") else 1e-4):
                sys.exit("the two builds do not agree")


if __name__ == "__main__":
    if sys.argv[1] == "--compare":
        compare(*sys.argv[2:])
    else:
        segment(*sys.argv[1:])
