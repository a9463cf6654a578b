"""Whether the network may be used."""

from __future__ import annotations

import os

from etseg._errors import DownloadError
from etseg._messages import shown

from . import hub


def is_offline() -> bool:
    """Whether ETSEG_OFFLINE forbids to use the network."""
    return _is_set("ETSEG_OFFLINE")


def offline_by(url: str) -> str | None:
    """The variable of the environment that forbids to ask for a URL; None where none does."""
    if is_offline():
        return "ETSEG_OFFLINE"
    return "HF_HUB_OFFLINE" if _is_set("HF_HUB_OFFLINE") and hub.is_on_hub(url) else None


def check_online(url: str) -> None:
    variable = offline_by(url)
    if variable is not None:
        raise DownloadError(
            f"{shown(url)} is not on this machine, and {variable} is set; unset it to download"
        )


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no")
