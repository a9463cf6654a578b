"""Options that the programs share."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.models import BUILD, SHARED


def parser(description: str) -> argparse.ArgumentParser:
    """With the options every program has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--threads", type=int, default=2, help="of every peer")
    made.add_argument("--shared", type=Path, default=SHARED, help="folder of models/ and images/")
    made.add_argument("--photo", type=Path, help="default: images/astronaut.png of --shared")
    made.add_argument("--build", type=Path, default=BUILD, help="what setup_peers.py has made")
    made.add_argument(
        "--output", type=Path, default=BUILD / "results.json", help="merged into, if it is there"
    )
    return made


def photo_of(options: argparse.Namespace) -> Path:
    """The photo to measure with.

    Raises:
        SystemExit: there is none.
    """
    path: Path = options.photo or options.shared / "images" / "astronaut.png"
    if not path.exists():
        message = f"there is no {path}: name a photo of your own with --photo"
        raise SystemExit(message)
    return path


def names(text: str) -> list[str]:
    """Of a list with commas."""
    return [name for name in text.split(",") if name]
