"""A program for each backend, and the one of them that this machine runs fastest."""

from __future__ import annotations

from dataclasses import replace

from ._building import Building, Built, built
from ._errors import ExportError
from ._report import TriedBackend
from ._requirements import INSTALL_OPENVINO, missing_for_openvino
from ._verification.compare import measure

_BACKENDS = ("xnnpack", "openvino")


def fastest(building: Building) -> Built:
    """Of the programs that agree with the network, the one whose forward takes least.

    Raises:
        ExportError: none agrees; what the first backend was refused for.
    """
    made: dict[str, Built] = {}
    failed: dict[str, ExportError] = {}
    note = ""
    for backend in _BACKENDS:
        if backend == "openvino" and (packages := missing_for_openvino()):
            note = (
                f"only xnnpack was tried: {' and '.join(packages)} "
                f"{'is' if len(packages) == 1 else 'are'} not installed ({INSTALL_OPENVINO})"
            )
            continue
        try:
            made[backend] = built(building, backend)
        except ExportError as error:
            failed[backend] = error
    if not made:
        raise next(iter(failed.values()))
    building.on_progress("timing them in turns")
    photo = building.job.photos[0]
    times = dict(zip(made, measure([one.path for one in made.values()], photo), strict=True))
    best = min(made, key=lambda backend: times[backend].forward_ms)
    tried = [
        TriedBackend(
            backend, times[backend].load_ms, times[backend].forward_ms,
            one.report.file_bytes, one.report.agreement, None,
        )
        for backend, one in made.items()
    ]  # fmt: skip
    tried += [
        TriedBackend(backend, None, None, None, None, str(error).splitlines()[0])
        for backend, error in failed.items()
    ]
    report = made[best].report
    report = replace(
        report,
        load_ms=times[best].load_ms,
        forward_ms=times[best].forward_ms,
        tried_backends=tuple(tried),
        notes=(*report.notes, note) if note else report.notes,
    )
    return replace(made[best], report=report)
