"""How often a program with changed bytes crashes or hangs the process that loads it.

    python tests/tools/mutation_rate.py PROGRAM.pte [COPIES] [LIMIT]

LIMIT: only the first so many bytes are changed; 0, the default, means anywhere. The README's figure
comes from here. It is no test: the runtime's delegates trust their payload, so the rate is not 0.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python" / "support"))

from mutations import outcomes


def main(program: str, copies: str = "1000", limit: str = "0") -> None:
    """Prints a line for each outcome, and one for each death."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(10_000, 10_000 + int(copies))  # not those of the tests
        counts, deaths = outcomes(Path(program), Path(folder), int(limit), seeds)
    for outcome, count in counts.most_common():
        sys.stdout.write(f"{outcome:<24} {count:>6}  {count / int(copies):.2%}\n")
    for death in deaths:
        sys.stdout.write(f"{death}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
