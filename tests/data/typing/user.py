"""A user's program, in which type checkers have to find nothing. Nobody runs this."""

import json
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

import etseg
from etseg import DeeplabLabel, ImageSegmentationModule, ModelSpec, SegmentationResult


class Road(IntEnum):
    SKY = 0
    ROAD = 1


def in_one_call(path: Path) -> float:
    result = etseg.segment(path, classes=["PERSON"])
    result.save("overlay.jpg")
    result.save("person.png", label="PERSON")
    result.to_pil().save("a.png")
    result.show()
    etseg.unload()
    return result.areas()["PERSON"].share


def boxes(result: SegmentationResult) -> list[tuple[str, int]]:
    x0, _, x1, _ = result.boxes()[0]
    print(x1 - x0, result.boxes()["PERSON"], result.boxes()[DeeplabLabel.CAT][0] + 1)
    if (box := result.boxes().get("PERSON")) is not None:
        print(box[0] + 1)
    return [(label.name, box[2]) for label, box in result.boxes().items()]


def maps(result: SegmentationResult) -> npt.NDArray[np.float32]:
    for label, plane in result.items():
        print(label, plane.mean(), plane.shape)
    print(result.argmax.max(), result["PERSON"].dtype, result[0].sum(), result.size[0])
    print({label.name: area.pixels for label, area in result.areas().items()})
    mask = result.mask("PERSON", size="image")
    picture = result.image
    picture[~mask] = 255
    found: npt.NDArray[np.float32] = np.asarray(result["PERSON"], np.float32)
    return found


def labels(module: ImageSegmentationModule) -> list[str]:
    result = module.forward("a.jpg", [module.labels.PERSON])
    print(result[module.labels.PERSON], result.labels.PERSON.name, len(module.labels))
    print(
        module.labels["PERSON"].value, module.labels(0).name, module.labels.PERSON in module.labels
    )
    ModelSpec(model_source="a.pte", labels=module.labels)
    print(result.get("PERSON"), result.get(0, None), "PERSON" in result)
    return [label.name for label in module.labels]


def models() -> ImageSegmentationModule:
    spec = ModelSpec(
        model_source="a.pte", labels=["sky", "road"], mean=[0.5, 0.5, 0.5], std=np.full(3, 0.5)
    )
    ModelSpec(model_source=Path("a.pte"), labels=Road, mean=(0.5, 0.5, 0.5), background=Road.SKY)
    ModelSpec(model_source="a.pte", labels={0: "sky"}, logits_grid={"kind": "half-pixel"})
    print(spec.mean[0] if spec.mean else None)
    module = ImageSegmentationModule("selfie-segmentation", print, concurrency=2)
    module.load({"model_source": "a.pte", "mean": [0.5, 0.5, 0.5]})
    module.load(spec, lambda progress: print(f"{progress:.0%}"))
    return module


def many(module: ImageSegmentationModule, paths: Iterable[Path]) -> str:
    openers = [path.read_bytes for path in paths]
    rows: list[object] = [row for each in module.map(openers) for row in each.to_rows()]
    for outcome in module.map(paths, on_error="yield"):
        if isinstance(outcome, etseg.EtsegError):
            print(outcome.code.name)
        else:
            print(outcome.source, outcome.timings.total / 1e6, outcome.to_dict()["width"] + 1)
    return json.dumps(rows)


def pictures(result: SegmentationResult) -> npt.NDArray[np.uint8]:
    result.overlay(palette={"PERSON": "#ff0000", DeeplabLabel.CAT: (0, 255, 0)}, legend=True)
    result.replace_background("white", ["PERSON", DeeplabLabel.CAT])
    result.cutout("PERSON")
    for outline in result.contours("PERSON", simplify=2):
        print(outline.exterior.shape, outline.holes)
    return result.colorize("colorblind")
