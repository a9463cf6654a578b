"""What exports of networks are like: sizes, agreement and times, as a table in Markdown.

    python benchmarks/export.py [NAME ...]

In an environment with the extra "export" and torchvision. The real DeepLab's weights are read from
the models beside the checkout; torchvision's networks have random ones, whose labels say nothing,
and are there for sizes and times. Each network is exported whole, cut, and in int8.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from etseg.export import ExportError, ExportReport, export
from harness.models import SHARED
from pte_to_torch import XnnpackProgram

PHOTOS = SHARED / "images"
FORMS: dict[str, dict[str, Any]] = {
    "whole": {"low_stride": False},
    "cut": {"low_stride": True},
    "int8": {"low_stride": True, "quantize": "int8", "calibration": PHOTOS},
}


def deeplab(side: int) -> nn.Module:
    """The published network, which has no other size in it than that of its upsampling."""
    network = XnnpackProgram(SHARED / "models" / "deeplabv3_mnv2_dm05_pascal_257_xnnpack_fp32.pte")
    for kind, node, _ in network.nodes:
        if kind == "XNNStaticResizeBilinear2D":
            node["new_height"] = node["new_width"] = side
    return network.eval()


def random_torchvision(name: str) -> Callable[[], nn.Module]:
    """One of torchvision's, untrained."""

    def make() -> nn.Module:
        import torchvision.models.segmentation as zoo

        torch.manual_seed(1)
        auxiliary = {} if name.startswith("lraspp") else {"aux_loss": True}
        return getattr(zoo, name)(weights=None, weights_backbone=None, **auxiliary).eval()

    return make


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], tuple[str, ...]]] = {
    "deeplab-257": (lambda: deeplab(257), (257, 257), ("whole", "cut", "int8")),
    "deeplab-513": (lambda: deeplab(513), (513, 513), ("whole", "cut", "int8")),
    "lraspp-mobilenet-v3-224": (
        random_torchvision("lraspp_mobilenet_v3_large"), (224, 224), ("whole", "cut")
    ),
    "deeplab-resnet50-224": (
        random_torchvision("deeplabv3_resnet50"), (224, 224), ("whole", "cut")
    ),
}  # fmt: skip

HEAD = """\
| network | form | output | file MB | plan MB | delegated | labels equal | load ms | forward ms |
|---|---|---|---|---|---|---|---|---|"""


def row(name: str, form: str, report: ExportReport) -> str:
    """A line of the table. Of random weights the labels are left out."""
    real = name.split("-")[-1].isdigit() and name.count("-") == 1
    photos = ", ".join(f"{one.agreement:.2%}" for one in report.photos[:-1]) if real else "(random)"
    kept = f", {len(report.float_layers)} of {report.layers} in float" if report.quantized else ""
    return (
        f"| {name} | {form}{kept} | {report.channels}x{report.output_size[0]}x"
        f"{report.output_size[1]} | {report.file_bytes / 1e6:.2f} | {report.plan_bytes / 1e6:.2f} "
        f"| {report.share_delegated:.0%} in {report.partitions} | {photos} "
        f"| {report.load_ms:.1f} | {report.forward_ms:.2f} |"
    )


def main() -> None:
    """Exports what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=", ".join(NETWORKS))
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in parser.parse_args().names or NETWORKS:
            make, size, forms = NETWORKS[name]
            for form in forms:
                options = FORMS[form]
                if form != "int8":
                    options = options | {"photos": PHOTOS, "least_agreement": 0}
                path = Path(folder) / f"{name}-{form}.pte"
                try:
                    report = export(make(), path, size=size, activation="softmax", **options)
                except ExportError as error:
                    if error.report is None:
                        raise
                    print(f"| {name} | {form}: refused | | | | | {error.report.agreement:.2%} | |")
                    continue
                print(row(name, form, report), flush=True)


if __name__ == "__main__":
    main()
