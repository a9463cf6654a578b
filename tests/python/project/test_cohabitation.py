"""etseg beside executorch and torch in one process: both run, and neither sees the other's symbols.

Each case is a process of its own, because what is bound at import stays bound.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from children import PATIENCE, finished

pytestmark = [
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="reads /proc and the debug output of glibc"
    ),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "executorch")),
        reason="needs executorch and torch: pip install torch==2.13.0 executorch==1.5.1",
    ),
]

CHILD = r"""
import json, os, sys

first, scope, report = sys.argv[1:]

if scope == "global":
    sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL)

def import_ours():
    import etseg

def import_theirs():
    import torch
    import executorch.runtime
    import executorch.kernels.quantized

order = [import_ours, import_theirs]
for step in order if first == "etseg" else reversed(order):
    step()

import etseg, numpy as np, torch
from executorch.runtime import Runtime, Verification
from pathlib import Path

# Head and shoulders, so that the model answers with more than zeros; in colours that become exactly
# 0 and 1, so that both networks are given the same bits.
y, x = np.mgrid[:256, :256]
image = np.full((256, 256, 3), 255, np.uint8)
image[((x - 128) / 90) ** 2 + ((y - 256) / 110) ** 2 < 1] = (0, 0, 255)
image[((x - 128) / 38) ** 2 + ((y - 100) / 50) ** 2 < 1] = (255, 0, 0)
image[(((x - 128) / 44) ** 2 + ((y - 88) / 52) ** 2 < 1) & (y < 85)] = 0

path = Path(etseg.__file__).parent / "_bundled" / "selfie_segmentation_xnnpack_fp32.pte"
theirs = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
method = theirs.load_method("forward")
tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None] / np.float32(255)))

label = etseg.SelfieSegmentationLabel.SELFIE
results = []
with etseg.ImageSegmentationModule() as module:
    module.load(etseg.SELFIE_SEGMENTATION)
    for _ in range(3):  # in turns, so that each runs after the other has
        mine = module.forward(image, [label])[label]
        other = method.execute([tensor])[0].numpy()[0, 0]
        results.append([float(np.abs(mine - other).max()), float((mine > 0.5).mean())])

maps = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
with open(report, "w") as file:
    json.dump({"results": results, "maps": sorted(maps)}, file)
"""

BINDING = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: \w+ symbol `([^']+)'")


def owner(library: str) -> str:
    """Whose a library is, by where it lies."""
    for name in ("etseg", "executorch", "torch"):
        if f"/site-packages/{name}/" in library:
            return name
    return "other"


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("first", ["etseg", "executorch"])
def test_both_runtimes_run_apart(first: str, scope: str, tmp_path: Path) -> None:
    report, bindings = tmp_path / "report.json", tmp_path / "bindings"
    child = finished(
        *(sys.executable, "-c", CHILD, first, scope, report),
        patience=3 * PATIENCE,
        LD_DEBUG="bindings",
        LD_DEBUG_OUTPUT=str(bindings),
        LD_BIND_NOW="1",  # functions that are never called are bound too, and seen
    )
    assert child.returncode == 0, child.stderr[-4000:]
    told = json.loads(report.read_text())

    for difference, person in told["results"]:
        assert difference < 1e-6
        assert 0.2 < person < 0.5  # both saw the figure

    mapped = Counter(owner(library) for library in told["maps"])
    assert sum("/_vendor/libetseg_" in library for library in told["maps"]) == 5
    assert mapped["executorch"] >= 6

    seen: Counter[tuple[str, str]] = Counter()
    crossed = []
    for file in tmp_path.glob("bindings.*"):
        for line in file.read_text(errors="replace").splitlines():
            if match := BINDING.search(line):
                user, provider, symbol = match.groups()
                pair = owner(user), owner(provider)
                seen[pair] += 1
                # What libstdc++ offers, torch may offer too when it is loaded globally.
                standard = re.match("_ZN?K?S", symbol) is not None and "torch" in pair
                if "etseg" in pair and pair[0] != pair[1] and "other" not in pair and not standard:
                    crossed.append((Path(user).name, Path(provider).name, symbol))
    assert not crossed
    # Or the loader told us nothing, and the line above proves nothing.
    assert seen["etseg", "etseg"] > 1000
    assert seen["executorch", "executorch"] > 1000
