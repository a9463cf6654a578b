"""Where the extra "export" is not installed: the package is as it was, and says what is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

import etseg.export
from children import PATIENCE
from etseg._cli import main
from etseg.export import export

needs_no_torch = pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")


@needs_no_torch
def test_the_function_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"torch.*pip install 'etseg\[export\]'"):
        export("torchvision:lraspp_mobilenet_v3_large", tmp_path / "net.pte")


@needs_no_torch
def test_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["export", "net.py:build", "-o", str(tmp_path / "net.pte")])
    assert done.exit_code == 1
    assert "pip install 'etseg[export]'" in done.output
    assert "Traceback" not in done.output


def test_arguments_are_checked_before_anything_is_imported(tmp_path: Path) -> None:
    with pytest.raises(etseg.InvalidUserInputError, match=r"must end in \.pte"):
        export("net.py:build", tmp_path / "net.onnx")
    with pytest.raises(etseg.FileWriteError, match="folder"):
        export("net.py:build", tmp_path / "nowhere" / "net.pte")
    with pytest.raises(etseg.InvalidUserInputError, match=r"size is \(0, 5\)"):
        export("net.py:build", tmp_path / "net.pte", size=(0, 5))
    with pytest.raises(etseg.InvalidUserInputError, match="backend is 'cuda'"):
        export("net.py:build", tmp_path / "net.pte", backend="cuda")  # type: ignore[arg-type]
    for backend in ("openvino", "auto"):
        with pytest.raises(etseg.InvalidUserInputError, match="int8' is for backend='xnnpack'"):
            export("net.py:build", tmp_path / "net.pte", backend=backend, quantize="int8",
                   calibration=["a.jpg"])  # fmt: skip
    with pytest.raises(etseg.InvalidUserInputError, match="least_agreement is 97"):
        export("net.py:build", tmp_path / "net.pte", least_agreement=97)
    with pytest.raises(etseg.InvalidConfigError, match="std is"):
        export("net.py:build", tmp_path / "net.pte", std=(0, 1, 1))


@pytest.mark.parametrize(
    ("option", "value"), [("--size", "512"), ("--mean", "0.5"), ("--std", "a,b,c")]
)
def test_wrong_usage_is_exit_status_2(tmp_path: Path, option: str, value: str) -> None:
    arguments = ["export", "net.py:build", "-o", str(tmp_path / "net.pte"), option, value]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert option in done.output
    assert repr(value) in done.output


def test_neither_the_package_nor_the_command_imports_it() -> None:
    """`etseg --help` stays fast, and etseg is complete without the extra."""
    code = (
        "import sys, etseg, etseg._cli\n"
        "from click.testing import CliRunner\n"
        "CliRunner().invoke(etseg._cli.main, ['export', '--help'])\n"
        "print(sorted(n for n in sys.modules if n.partition('.')[0] in ('torch', 'executorch')\n"
        "             or n.startswith('etseg.export')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.strip() == "[]"


def test_public_names_belong_to_the_package() -> None:
    for name in etseg.export.__all__:
        assert getattr(etseg.export, name).__module__ == "etseg.export"
