"""Readers of headers under libFuzzer, which goes where the code has not been yet.

    pip install --group fuzz
    python tests/fuzz/guided.py -max_total_time=60 [FOLDER]

Further arguments are libFuzzer's; a folder keeps what it learns. Whatever a reader raises but its
own BadHeader ends the run, and leaves the case in ``crash-...``. No decoder is called.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris
from chances import Random
from image_files import image_file, samples

with atheris.instrument_imports(include=["etseg._images", "etseg._download"]):
    from etseg._download.headers import content_length, content_range, seconds_to_wait
    from etseg._download.partial import parse_note
    from etseg._download.records import parse_record
    from etseg._images.formats import BadHeader, View, read_header
    from etseg._images.text import of_base64

_MAX_PIXELS = 1_000_000


def read(data: bytes) -> None:
    """A case."""
    with suppress(BadHeader):
        header = read_header(View(memoryview(data)))
        if header and header.essentials and header.height * header.width <= _MAX_PIXELS:
            header.essentials()
    parse_note(data)
    parse_record(data)
    of_base64(data)
    text = data.decode("latin-1")
    content_range(text)
    seconds_to_wait(text, 0.0)
    with suppress(ValueError):
        content_length(text)


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """libFuzzer's own way, or ours."""
    chance = Random(seed)
    if chance.random() < 0.3:
        return image_file(chance)[:most]
    if not data:
        data = chance.choice(samples())[1]
    return bytes(atheris.Mutate(data[:most], most))


if __name__ == "__main__":
    atheris.Setup(sys.argv, read, custom_mutator=mutated)
    atheris.Fuzz()
