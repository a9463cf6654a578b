"""What a service does and allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from etseg._errors import InvalidConfigError
from etseg._limits import Limits
from etseg._model.catalogue import SELFIE_SEGMENTATION
from etseg._model.choosing import as_spec
from etseg._model.spec import ModelSpec, Source


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a service.

    Attributes:
        models: what ``load()`` takes, each; requests name them by the spec's name, else by the name
            of the file. The first is the default.
        concurrency: how many images are segmented at a time, over all models; None for as many as
            etseg uses threads.
        packed_weights: as for :class:`etseg.ImageSegmentationModule`: "file" for one copy of the
            weights in all instances, models of the same file and worker processes.
        max_waiting: how many requests may wait for their turn; the next ones get 503.
        deadline: seconds that a request may wait for its turn; then it gets 503, uncomputed.
        max_body_bytes: of a request.
        max_held_bytes: of all bodies that are there at a time, from their first byte to the answer;
            the next ones get 503. None for eight times `max_body_bytes`. A form or JSON takes two
            to three times its bytes while it is read.
        body_seconds: in which a body has to arrive, whatever its size.
        max_pixels: of an image, told from its header before it is decoded.
        nice: how much less urgent (0 to 19) the threads that compute are than the event loop, on
            Linux: so that it refuses and answers at once while all cores are busy. They yield to
            other programs too.
        allow_urls: whether an image may be named by a URL. Only addresses that are public are
            connected to; redirects are held to the same.

    Raises:
        InvalidConfigError: a value cannot be; the message says which.
        InvalidModelSourceError: one of `models` is none.
    """

    models: Sequence[ModelSpec | Mapping[str, Any] | Source] = field(
        default_factory=lambda: (SELFIE_SEGMENTATION,)
    )
    concurrency: int | None = None
    packed_weights: Literal["memory", "file"] | None = None
    max_waiting: int = 64
    deadline: float = 10.0
    max_body_bytes: int = 32 << 20
    max_held_bytes: int | None = None
    body_seconds: float = 30.0
    max_pixels: int = 50_000_000
    nice: int = 5
    allow_urls: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(as_spec(model) for model in self.models))
        if not self.models:
            raise InvalidConfigError("models is empty; a service needs one at least")
        if self.max_held_bytes is None:
            object.__setattr__(self, "max_held_bytes", 8 * self.max_body_bytes)
        for name, least in (
            ("max_waiting", 0),
            ("max_body_bytes", 1),
            ("max_held_bytes", self.max_body_bytes),
            ("max_pixels", 1),
            ("nice", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidConfigError(f"{name} is {value!r}; expected an int, {least} or more")
        for name in ("deadline", "body_seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise InvalidConfigError(f"{name} is {value!r}; expected seconds, above 0")

    @property
    def limits(self) -> Limits:
        """Of images, as the module has them."""
        return Limits(max_pixels=self.max_pixels, max_download_bytes=self.max_body_bytes)
