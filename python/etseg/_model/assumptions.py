"""What is assumed of a program of which nobody says it: words for those who look for a mistake."""

from __future__ import annotations

from etseg._labels import LabelSet

from .spec import ModelSpec

#: The most names of labels that are listed.
_MOST = 3


def assumptions(
    said: ModelSpec, filled: ModelSpec, takes_bytes: bool, returns_labels: bool
) -> tuple[str, ...]:
    """What of normalisation, labels and activation was left open, and as what it was taken.

    Whatever else can be left open has a value that suits nearly every program.

    Args:
        said: by the spec, the program itself, or the catalogue.
        filled: the same with nothing left open.
        takes_bytes: whether the program takes uint8, of which nothing is to be said.
        returns_labels: whether it returns labels and no scores.
    """
    found = []
    if not takes_bytes and (said.mean is None or said.std is None):
        what = [
            f"{name} {_numbers(getattr(filled, name))}"
            for name in ("mean", "std")
            if getattr(said, name) is None
        ]
        found.append(f"pixels of 0..1 with {' and '.join(what)}")
    if said.labels is None:
        found.append(f"labels {_names(filled)}")
    if said.activation is None and not returns_labels:
        found.append(f"activation {filled.activation!r}")
    return tuple(found)


def _numbers(values: tuple[float, float, float]) -> str:
    return " ".join(f"{value:g}" for value in dict.fromkeys(values))


def _names(spec: ModelSpec) -> str:
    names = [member.name for member in LabelSet(spec.labels).members]  # type: ignore[arg-type]
    more = f", ... ({len(names)} in all)" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
