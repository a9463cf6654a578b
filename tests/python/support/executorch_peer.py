"""Runs programs with executorch's own Python bindings, for test_executorch.py.

A process of its own: torch comes with warnings, threads and a second runtime that are no business
of the tests. It reads one JSON request a line and answers with one JSON line:

    {"export_identity": [height, width], "to": PATH}       writes a program that returns its input
    {"run": PROGRAM, "inputs": NPY, "to": NPY}             input by input, the first outputs
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from executorch.exir import to_edge
from executorch.runtime import Runtime


class Identity(torch.nn.Module):
    """Returns the image, by way of an operator: the output is not the input's memory."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * 1.0


def export_identity(height: int, width: int, path: str) -> None:
    exported = torch.export.export(Identity(), (torch.zeros(1, 3, height, width),))
    Path(path).write_bytes(to_edge(exported).to_executorch().buffer)


def run(program: str, inputs: str, path: str) -> None:
    method = Runtime.get().load_program(program).load_method("forward")
    outputs = [
        method.execute([torch.from_numpy(image[None])])[0].numpy().copy()
        for image in np.load(inputs)
    ]
    np.save(path, np.concatenate(outputs))


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # nobody else writes between the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "export_identity" in request:
                height, width = request["export_identity"]
                export_identity(height, width, request["to"])
            else:
                run(request["run"], request["inputs"], request["to"])
            answer: dict[str, str | None] = {"error": None}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
