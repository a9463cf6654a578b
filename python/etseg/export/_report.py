"""What an export made, and how it was found to agree with the network."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cut:
    """An upsampling at the end of the network that was left to etseg.

    Attributes:
        logits: height and width before it: what the program returns.
        output: after it: what the network returns.
        grid: where the logits lie: "half-pixel" or "align-corners".
    """

    logits: tuple[int, int]
    output: tuple[int, int]
    grid: str


@dataclass(frozen=True)
class Comparison:
    """One photo, by the program in etseg's runtime and by the network in torch.

    Attributes:
        photo: its name.
        size: its height and width.
        scores_differ: by so much at most, the program's from those of the network in float32,
            both where the program returns them; None where it returns labels.
        scores_reach: the largest of the network's, for comparison; None likewise.
        agreement: share of the image's pixels, 0..1, that have the same label as by the whole
            network, uncut, in float32. Of a program that returns labels, of the program's pixels.
        but_for_ties: the same, where labels whose scores differ by 1e-4 or less count as equal.
    """

    photo: str
    size: tuple[int, int]
    scores_differ: float | None
    scores_reach: float | None
    agreement: float
    but_for_ties: float


@dataclass(frozen=True)
class TriedBackend:
    """A backend that ``backend="auto"`` made a program for.

    Attributes:
        backend: its name.
        load_ms: time to load the program, the first time; this and the rest None if it was refused.
        forward_ms: of the program alone, the best of some, taken in turns with the others.
        file_bytes: of its file.
        agreement: share of the photos' pixels, 0..1, that have the network's label.
        refused: why there is no such program; None where there is.
    """

    backend: str
    load_ms: float | None
    forward_ms: float | None
    file_bytes: int | None
    agreement: float | None
    refused: str | None


@dataclass(frozen=True)
class ExportReport:
    """An export: what it made, and what was measured.

    Attributes:
        path: of the file.
        network: what the network is called.
        backend: what runs most of it.
        quantized: whether layers compute in int8.
        input_size: height and width.
        input_format: type of its values, and order of its axes.
        output_size: of what the program returns.
        channels: likewise; 0 where it returns labels.
        metadata: what the program says about itself.
        cut: the upsampling that was left to etseg; None if the network is whole.
        photos: the comparison on each photo, the last on random noise.
        agreement: on photos, the mean of theirs; noise does not count.
        file_bytes: of the file.
        plan_bytes: of the memory for what is computed outside the backend.
        load_ms: time to load it, the first time.
        forward_ms: of the program alone, the best of some, on this machine.
        float_forward_ms: of a quantized program, what the same in float32 takes; else None.
        tried_backends: by ``backend="auto"``, the one that was kept among them.
        delegated: how many operators the backend runs.
        partitions: in how many calls.
        left: how many calls of each other operator the runtime's own kernels run.
        left_at: where in the network's source an example of each comes from, where that is known.
        left_time: each one's share of a forward's time, 0..1, by the name of its kernel; empty
            for OpenVINO, and where nothing is left.
        float_layers: of a quantized program, the layers that stayed in float32, those that lose
            most in int8 first.
        layers: of a quantized program, how many there are in all; 0 else.
        tried: numbers of layers in float that were simulated, each with its agreement.
        seconds: that the export took.
        peak_bytes: of memory, of this process until now.
        notes: what its owner should know.
    """

    path: Path
    network: str
    backend: str
    quantized: bool
    input_size: tuple[int, int]
    input_format: str
    output_size: tuple[int, int]
    channels: int
    metadata: dict[str, Any]
    cut: Cut | None
    photos: tuple[Comparison, ...]
    agreement: float
    file_bytes: int
    plan_bytes: int
    load_ms: float
    forward_ms: float
    float_forward_ms: float | None
    tried_backends: tuple[TriedBackend, ...]
    delegated: int
    partitions: int
    left: dict[str, int]
    left_at: dict[str, str]
    left_time: dict[str, float]
    float_layers: tuple[str, ...]
    layers: int
    tried: tuple[tuple[int, float], ...]
    seconds: float
    peak_bytes: int
    notes: tuple[str, ...]

    @property
    def share_delegated(self) -> float:
        """Of the operators, 0..1."""
        return self.delegated / max(1, self.delegated + sum(self.left.values()))

    def as_json(self) -> str:
        """All of it, as one JSON object."""
        content = asdict(self) | {
            "path": str(self.path),
            "share_delegated": self.share_delegated,
        }
        return json.dumps(content)

    def table(self) -> str:
        """All of it, for people: a few lines of text."""
        return "\n".join(
            [*_facts(self), "", *_photos(self), *_tried(self), *_left(self), *_notes(self)]
        )


def _facts(report: ExportReport) -> list[str]:
    height, width = report.input_size
    rows, columns = report.output_size
    kind = "int8" if report.quantized else "float32"
    facts = [
        ("network", report.network),
        ("file", f"{report.path}, {_size(report.file_bytes)}"),
        ("program", f"{report.backend}, {kind}"),
        ("input", f"{height}x{width}, {report.input_format}"),
        ("output", f"{f'{report.channels} x' if report.channels else 'labels,'} {rows}x{columns}"),
    ]
    if report.cut is not None:
        before, after = report.cut.logits, report.cut.output
        facts.append(
            (
                "cut",
                f"the upsampling {before[0]}x{before[1]} to {after[0]}x{after[1]} "
                f"({report.cut.grid}) is left to etseg",
            )
        )
    facts += [
        ("delegated", f"{report.delegated} operators in {report.partitions} calls "
                      f"({report.share_delegated:.0%})"),
        ("memory plan", _size(report.plan_bytes)),
        ("load, forward", f"{report.load_ms:.1f} ms, {_forward(report)} on this machine"),
        ("export", f"{report.seconds:.0f} s, peak memory {_size(report.peak_bytes)}"),
    ]  # fmt: skip
    if report.quantized:
        names = report.float_layers
        shown = ": " + ", ".join(names[:4]) + (" ..." if len(names) > 4 else "") if names else ""
        facts.append(("kept in float", f"{len(names)} of {report.layers} layers{shown}"))
        tried = ", ".join(f"{count}: {share:.2%}" for count, share in report.tried)
        facts.append(("simulated", f"layers in float, and labels equal: {tried}"))
    return [f"{name:<14} {text}" for name, text in facts]


def _forward(report: ExportReport) -> str:
    own, other = report.forward_ms, report.float_forward_ms
    if other is None:
        return f"{own:.2f} ms"
    verdict = "slower than" if own > other else "faster than"
    return f"{own:.2f} ms, {verdict} float32 with {other:.2f} ms,"


def _photos(report: ExportReport) -> list[str]:
    lines = [f"{'photo':<24} {'size':>10} {'labels equal':>13} {'but for ties':>13} {'scores':>20}"]
    for one in report.photos:
        scores = "-"
        if one.scores_differ is not None and one.scores_reach is not None:
            scores = f"{one.scores_differ:.2g} of {one.scores_reach:.3g}"
        lines.append(
            f"{one.photo[:24]:<24} {f'{one.size[0]}x{one.size[1]}':>10} {one.agreement:>13.3%} "
            f"{one.but_for_ties:>13.3%} {scores:>20}"
        )
    return lines


def _tried(report: ExportReport) -> list[str]:
    if not report.tried_backends:
        return []
    lines = ["", f"{'backend':<24} {'forward':>10} {'load':>13} {'file':>13} {'labels equal':>20}"]
    for one in report.tried_backends:
        kept = f"{one.backend}, kept" if one.backend == report.backend else one.backend
        if one.forward_ms is None or one.load_ms is None or one.file_bytes is None:
            lines.append(f"{kept:<24} {one.refused}")
            continue
        forward, load = f"{one.forward_ms:.2f} ms", f"{one.load_ms:.1f} ms"
        lines.append(
            f"{kept:<24} {forward:>10} {load:>13} {_size(one.file_bytes):>13} "
            f"{one.agreement:>20.3%}"
        )
    return lines


def _left(report: ExportReport) -> list[str]:
    if not report.left:
        return []
    lines = ["", "left to the runtime's own kernels:"]
    for name, count in report.left.items():
        place = report.left_at.get(name, "")
        lines.append(f"  {count:>4} {name}" + (f"  ({place})" if place else ""))
    if report.left_time:
        most = ", ".join(f"{name} {share:.1%}" for name, share in report.left_time.items())
        lines.append(f"  of a forward's time {sum(report.left_time.values()):.1%}: {most}")
    return lines


def _notes(report: ExportReport) -> list[str]:
    return ["", *(f"note: {note}" for note in report.notes)] if report.notes else []


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count < 100e6 else f"{count / 1e6:.0f} MB"
