"""Sets up what etseg is compared with, apart from the environment etseg is in.

    python benchmarks/setup_peers.py

Makes build/benchmarks/peers (torch, executorch, onnxruntime, OpenVINO; 2.5 GB), makes
build/benchmarks/mediapipe, and exports the programs that the comparison needs. What is there
already is kept. Only the standard library is used here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from harness.models import BUILD, SHARED

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--environments", type=Path, default=BUILD, help="where they are made")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of models/ and images/")
    options = parser.parse_args()

    peers = _environment(
        options.environments / "peers", HERE / "requirements-peers.txt", "torchvision==0.29.1"
    )
    _environment(
        options.environments / "mediapipe",
        HERE / "requirements-mediapipe.txt",
        "mediapipe==0.10.9",
        needed=False,
    )
    export = [peers, HERE / "export_programs.py", "--shared", options.shared]
    export += ["--build", options.environments]
    return subprocess.run(export, check=False).returncode


def _environment(folder: Path, requirements: Path, extra: str, *, needed: bool = True) -> Path:
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists():
        _say(f"{folder} is there already")
        return python
    _say(f"making {folder}")
    venv.create(folder, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([*pip, "-r", requirements], check=True)
        subprocess.run([*pip, "--no-deps", extra], check=True)
    except subprocess.CalledProcessError:
        if needed:
            raise
        _say(f"{extra} cannot be installed here: the comparison goes without it")
        return python
    done.touch()
    return python


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    sys.exit(main())
