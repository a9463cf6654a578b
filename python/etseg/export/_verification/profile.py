"""How much of a forward's time the operators take that no backend runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import cast

from etseg.export._errors import ExportError
from etseg.export._input import is_bytes, of_planes
from etseg.export._options import InputFormat

#: The first of them warms the caches, and is not counted.
_RUNS = 6


def shares_of_time(
    path: Path, size: tuple[int, int], input_format: InputFormat = "float32-nchw"
) -> dict[str, float]:
    """Of a program's operators outside its backend, each one's share of the time, 0..1, most first.

    etseg's runtime has no profiler. executorch's own takes the times: the same version, and the
    same kernels. It is run in a process of its own, which may write what it likes on stderr.

    Raises:
        ExportError: executorch cannot run the program.
    """
    command = [sys.executable, "-m", __name__, str(path), input_format, *map(str, size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise ExportError(f"executorch's profiler fails on the program: {last}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _profiled(path: Path, input_format: InputFormat, height: int, width: int) -> dict[str, float]:
    import executorch.kernels.quantized  # noqa: F401  # registers them
    import torch
    from executorch.devtools.etdump.serialize import deserialize_from_etdump_flatcc
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(path, enable_etdump=True)
    method = program.load_method("forward")
    planes = torch.rand(1, 3, height, width)
    image = of_planes(planes * 255 if is_bytes(input_format) else planes, input_format)
    for _ in range(_RUNS):
        method.execute((image,))
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.etdp"
        program.write_etdump_result_to_file(str(trace), str(Path(folder) / "debug.bin"))
        runs = deserialize_from_etdump_flatcc(trace.read_bytes()).run_data
    whole, parts = 0, Counter[str]()
    for run in [run for run in runs if run.name == "Execute"][1:]:
        for event in run.events:
            if (times := event.profile_event) is None:
                continue
            took = times.end_time - times.start_time
            name = times.name or ""  # what is inside a delegate has numbers
            if name == "Method::execute":
                whole += took
            elif name.startswith("native_call_"):
                parts[name.removeprefix("native_call_").partition(".")[0]] += took
    return {name: took / whole for name, took in parts.most_common()}


if __name__ == "__main__":
    _path, _format, *_size = sys.argv[1:]
    _shares = _profiled(Path(_path), cast("InputFormat", _format), *map(int, _size))
    sys.stdout.write(json.dumps(_shares) + "\n")
