"""The driver's side of a peer's process."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, final

from harness.models import BUILD, CHECKOUT, Model
from harness.peers import PEERS


class PeerError(RuntimeError):
    """The peer cannot do what it was asked."""


def python_of(name: str, environments: Path = BUILD) -> Path | None:
    """The interpreter that has what the peer needs, or None."""
    environment = PEERS[name].environment
    if environment == "own":
        return Path(sys.executable)
    python = environments / environment / "bin" / "python"
    return python if python.exists() else None


@final
class PeerProcess:
    """A peer_worker.py that runs. A context manager."""

    def __init__(self, name: str, environments: Path = BUILD) -> None:
        self.name = name
        python = python_of(name, environments)
        if python is None:
            message = f"no environment {PEERS[name].environment!r}: run benchmarks/setup_peers.py"
            raise PeerError(message)
        read_request, write_request = os.pipe()
        read_answer, write_answer = os.pipe()
        script = CHECKOUT / "benchmarks" / "peer_worker.py"
        self._process = subprocess.Popen(
            [python, script, name, str(read_request), str(write_answer)],
            pass_fds=(read_request, write_answer),
            # torch's threads spin after their work otherwise, in the way of executorch's own: its
            # bindings took twice as long.
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        os.close(read_request)
        os.close(write_answer)
        self._requests = Connection(write_request, readable=False)
        self._answers = Connection(read_answer, writable=False)

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._requests.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def load(self, model: Model, threads: int) -> None:
        """Loads the model."""
        self._ask("load", model, threads)

    def image(self, path: Path, *, is_file: bool) -> None:
        """The image of the forwards to come."""
        self._ask("image", str(path), is_file)

    def run(self, classes: list[int], resize: bool) -> dict[str, int]:
        """One forward."""
        result: dict[str, int] = self._ask("run", classes, resize)
        return result

    def sample(self, classes: list[int], resize: bool) -> tuple[Any, dict[int, Any]]:
        """Some pixels of the maps."""
        result: tuple[Any, dict[int, Any]] = self._ask("sample", classes, resize)
        return result

    def memory(self, classes: list[int], resize: bool) -> dict[str, int]:
        """Peak memory of one forward."""
        result: dict[str, int] = self._ask("memory", classes, resize)
        return result

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            self._requests.send((method, arguments))
            done, answer = self._answers.recv()
        except (EOFError, BrokenPipeError) as error:
            message = f"{self.name} ended while it did {method!r}"
            raise PeerError(message) from error
        if not done:
            raise PeerError(answer)
        return answer
