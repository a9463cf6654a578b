"""Calls for type checkers, which have to find those marked, and no others. Nobody runs this."""

import asyncio
from pathlib import Path

import etseg
from etseg import ImageSegmentationModule

ImageSegmentationModule(concurency=2)  # wrong
ImageSegmentationModule(concurrency="2")  # wrong
ImageSegmentationModule(argmax_dtype="int64")  # wrong
ImageSegmentationModule.from_model_name("selfie-segmentation", argmx_dtype="uint8")  # wrong
ImageSegmentationModule.from_custom_model("m.pte", activaton="softmax")  # wrong
ImageSegmentationModule.from_custom_model("m.pte", activation="softmx")  # wrong
ImageSegmentationModule.from_custom_model("m.pte", model_source="n.pte")  # wrong
module = ImageSegmentationModule(concurrency=2, limits=etseg.Limits(max_pixels=10))
module = ImageSegmentationModule.from_model_name("selfie-segmentation", print, argmax_dtype="uint8")
module = ImageSegmentationModule.from_custom_model(
    Path("m.pte"), labels=["A"], mean=[0.5, 0.5, 0.5], activation=None, concurrency=3
)
module.forward("a.jpg", ["A"], True, channel_order="bgr")
module.forward("a.jpg", clases_of_interest=["A"])  # wrong
module.forward("a.jpg", channel_order="grb")  # wrong
module.map(["a.jpg"], look_ahed=1)  # wrong
module.map(["a.jpg"], on_error="ignore")  # wrong
for result in module.map(["a.jpg"], resize=True, look_ahead=1):
    sizes = result.argmax.shape
for either in module.map(["a.jpg"], on_error="yield"):
    sizes = either.argmax.shape  # wrong


async def main() -> None:
    sizes = (await module.forward_async("a.jpg", resize=True)).size
    print(sizes)
    await module.forward_async("a.jpg", resze=True)  # wrong
    await module.load_async("m.pte", on_progress=print)  # wrong


asyncio.run(main())
