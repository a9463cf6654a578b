"""The notebook of the documentation: it runs, and its outputs are what they should be."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from children import PATIENCE

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"

if not EXAMPLES.is_dir():
    pytest.skip("needs a checkout", allow_module_level=True)

Picture = npt.NDArray[np.uint8]


def pictures(cell: Any) -> Iterator[Picture]:
    """The pictures that a cell shows, also those inside of HTML."""
    for output in cell.outputs:
        data = output.get("data", {})
        encoded = [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
        encoded += re.findall(r'src="data:image/\w+;base64,([^"]+)"', data.get("text/html", ""))
        for text in encoded:
            picture = cv2.imdecode(
                np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED
            )
            assert picture is not None
            yield np.asarray(picture, np.uint8)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((EXAMPLES / "etseg.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_the_notebook_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient, of the test group")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, which nbclient brings")
    pytest.importorskip("ipykernel", reason="needs ipykernel, of the test group")
    monkeypatch.setenv("ETSEG_OFFLINE", "1")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(EXAMPLES / "etseg.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import sys\nprint(sys.prefix)"))
    nbclient.NotebookClient(
        notebook,
        timeout=PATIENCE,
        startup_timeout=int(PATIENCE),
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()

    *cells, last = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert Path(last.outputs[0].text.strip()).resolve() == Path(sys.prefix).resolve()
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"] == []

    shown = {cell.source: list(pictures(cell)) for cell in cells}
    assert sum(map(bool, shown.values())) == 6
    for picture in (picture for found in shown.values() for picture in found):
        assert min(picture.shape[:2]) >= 256
        assert picture[..., :3].std() > 30
    (cutout,) = (found[0] for source, found in shown.items() if "cutout(" in source)
    assert (cutout.shape, cutout[20, 20, 3], cutout[300, 200, 3]) == ((512, 512, 4), 0, 255)
    (legend,) = (
        output.data["text/html"]
        for cell in cells
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    )
    assert "PERSON" in legend
    assert "54.2%" in legend
