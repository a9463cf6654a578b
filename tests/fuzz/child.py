"""The process in which cases are tried: its memory and its time are limited, and what it says seen.

    python child.py TARGET SEED FIRST LAST FOLDER

Writes the case that it is at to FOLDER/at, a line of JSON for each find to FOLDER/finds, and now
and then how often each outcome came to FOLDER/outcomes. Standard output and error are FOLDER/said.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import Counter
from pathlib import Path

from targets import MAX_PIXELS, TARGETS, case_of, outcome

CPU_SECONDS = int(os.environ.get("FUZZ_CPU_SECONDS", "20"))  # of fifty cases
#: Of memory, above what the process has when it begins: for an image of MAX_PIXELS, every copy of
#: it in every stage, JPEG 2000's at 4 bytes a sample among them.
_BYTES_OF_A_PIXEL = 40
_BYTES = (32 << 20) + _BYTES_OF_A_PIXEL * MAX_PIXELS


def _memory_now() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _limit_memory(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _limit_time() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    most = int(usage.ru_utime + usage.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))  # SIGXCPU ends it


def _write(path: Path, counts: Counter[str]) -> None:
    path.with_suffix(".new").write_text(json.dumps(counts))
    path.with_suffix(".new").replace(path)


def main(name: str, seed: str, first: str, last: str, folder: Path) -> None:
    """Tries the cases from `first` to before `last`."""
    target = TARGETS[name]
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    at = os.open(folder / "at", os.O_WRONLY | os.O_CREAT, 0o666)
    counts: Counter[str] = Counter()
    with target.opened() as run, (folder / "finds").open("a") as finds:
        os.dup2(said, 1)
        os.dup2(said, 2)
        most = _memory_now() + _BYTES
        length = os.fstat(said).st_size
        for index in range(int(first), int(last)):
            os.pwrite(at, b"%20d" % index, 0)
            if (index - int(first)) % 50 == 0:
                _limit_time()
                _write(folder / "outcomes", counts)
            case = case_of(name, seed, index)
            _limit_memory(most)
            result, wrong = outcome(run, case)
            _limit_memory(resource.RLIM_INFINITY)  # what makes cases is not under test
            counts[result] += 1
            if (now := os.fstat(said).st_size) != length:
                wrong += "\nsaid: " + (folder / "said").read_bytes()[length:].decode("latin-1")
                length = now
            if wrong:
                finds.write(json.dumps({"index": index, "outcome": result, "wrong": wrong}) + "\n")
                finds.flush()
        _write(folder / "outcomes", counts)
        os._exit(0)  # what threads are still at does not count


if __name__ == "__main__":
    main(*sys.argv[1:5], Path(sys.argv[5]))
