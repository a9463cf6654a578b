"""Labels: what the channels of a model mean, and how a caller names them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from ._errors import InvalidUserInputError, LabelError
from ._label_enums import ARGMAX, NamedMeta, enum_of_names
from ._messages import brief

#: A label of a model: a member of its enum, its name, or its index.
Label = IntEnum | str | int


class LabelEnum(Protocol):
    """An enum of labels, as type checkers see one whose members only a program knows."""

    def __getattr__(self, name: str, /) -> IntEnum: ...
    def __getitem__(self, name: str, /) -> IntEnum: ...
    def __call__(self, value: int, /) -> IntEnum: ...
    def __iter__(self) -> Iterator[IntEnum]: ...
    def __len__(self) -> int: ...
    def __contains__(self, value: object, /) -> bool: ...
    @property
    def __members__(self) -> Mapping[str, IntEnum]: ...
    @property
    def __name__(self) -> str: ...


#: What is longer is no label that was mistyped.
_LONGEST_NAME = 100

T = TypeVar("T")
D = TypeVar("D")


class DeeplabLabel(IntEnum):
    """The classes of Pascal VOC, in the order of torchvision's segmentation models."""

    BACKGROUND = 0
    AEROPLANE = 1
    BICYCLE = 2
    BIRD = 3
    BOAT = 4
    BOTTLE = 5
    BUS = 6
    CAR = 7
    CAT = 8
    CHAIR = 9
    COW = 10
    DININGTABLE = 11
    DOG = 12
    HORSE = 13
    MOTORBIKE = 14
    PERSON = 15
    POTTEDPLANT = 16
    SHEEP = 17
    SOFA = 18
    TRAIN = 19
    TVMONITOR = 20
    ARGMAX = 21


class SelfieSegmentationLabel(IntEnum):
    """A person in front of a background. Label 0 is the person, whom PERSON names too.

    Pictures and texts for people say PERSON; keys and JSON have the member's name, SELFIE.
    """

    SELFIE = 0
    PERSON = 0
    BACKGROUND = 1
    ARGMAX = 2


def for_people(name: str) -> str:
    """A label's name in what people read: a person is called so, and not a selfie."""
    return "PERSON" if name == "SELFIE" else name


class LabelSet:
    """The labels of a loaded model: finds the one that a caller means."""

    def __init__(self, labels: type[IntEnum] | tuple[str, ...]) -> None:
        self.enum = labels if isinstance(labels, type) else enum_of_names(labels)
        kind: type = type(self.enum)
        given = cast("NamedMeta", self.enum).given if kind is NamedMeta else ()
        self.members = tuple(sorted(member for member in self.enum if member.name != ARGMAX))
        #: The key of the ARGMAX map: a member, or its name where the caller's enum has none.
        self.argmax: IntEnum | str = self.enum.__members__.get(ARGMAX, ARGMAX)
        # Names as they were given come first, then whatever their case, then those of the members.
        self._by_name: dict[str, IntEnum] = dict(zip(given, self.members, strict=False))
        for name, member in self._by_name.copy().items():
            self._by_name.setdefault(name.casefold(), member)
        for name, member in self.enum.__members__.items():
            self._by_name.setdefault(name.casefold(), member)

    def __len__(self) -> int:
        return len(self.members)

    @classmethod
    def for_channels(cls, channels: int) -> LabelSet:
        """What a program without a spec is taken to tell apart."""
        if channels == 1:
            return cls(SelfieSegmentationLabel)
        if channels == len(DeeplabLabel) - 1:
            return cls(DeeplabLabel)
        return cls(tuple(f"CLASS_{index}" for index in range(channels)))

    def find(self, label: object) -> IntEnum | None:
        """The member that `label` means; None for ARGMAX.

        IntEnums compare equal across enums, so a member must be of this very enum.

        Raises:
            LabelError: there is no such label; the message lists the valid ones.
        """
        if isinstance(label, Enum):
            if not isinstance(label, self.enum):
                raise self._unknown(label, f"; it is a label of another enum than {self.enum!r}.")
            return None if label.name == ARGMAX else label
        if isinstance(label, str):
            if label.casefold() == ARGMAX.casefold():
                return None
            member = self._by_name.get(label, self._by_name.get(label.casefold()))
            if member is None:
                raise self._unknown(label)
            return member
        if isinstance(label, bool) or type(label).__name__ in ("bool", "bool_"):  # numpy's
            raise self._unknown(label, "; a bool is not an index.")
        try:
            index = operator.index(label)  # type: ignore[arg-type]
        except TypeError:
            raise self._unknown(label) from None
        if not 0 <= index < len(self.members):
            raise self._unknown(label, f"; indices go from 0 to {len(self.members) - 1}.")
        return self.members[index]

    def find_all(self, labels: object) -> tuple[IntEnum, ...]:
        """The members that `labels` means, each once, in the order given; ARGMAX left out."""
        if isinstance(labels, (str, bytes, Enum)) or not isinstance(labels, Iterable):
            is_name = isinstance(labels, str) and labels.casefold() in self._by_name
            raise InvalidUserInputError(
                f"the classes of interest are {brief(labels)}; expected a list of labels, such as "
                f"[{labels if is_name else for_people(self.members[0].name)!r}]"
            )
        found = (self.find(label) for label in labels)
        return tuple(dict.fromkeys(member for member in found if member is not None))

    def _unknown(self, label: object, hint: str = "") -> LabelError:
        if isinstance(label, str) and (meant := self._close_to(label)):
            hint = f"; did you mean {meant!r}?"
        shown = ", ".join(for_people(member.name) for member in self.members[:30])
        more = f", ... ({len(self.members)} in all)" if len(self.members) > 30 else ""
        return LabelError(
            f"{brief(label)} is not a label of this model{hint or '.'} Valid: {shown}{more}"
        )

    def _close_to(self, name: str) -> str | None:
        """What somebody may have meant, as it was given with the model or as the member's name."""
        from difflib import get_close_matches

        if len(name) > _LONGEST_NAME:
            return None
        names: dict[str, str] = {}
        for valid in (*self._by_name, *self.enum.__members__):
            names[valid.casefold()] = valid
        close = get_close_matches(name.casefold(), names, n=1, cutoff=0.75)
        return names[close[0]] if close else None


class ByLabel(Mapping[IntEnum, T]):
    """What is known of labels, read-only; a key is a member, name or index, as for a result.

    Iterates over members, in the order of their indices.
    """

    if TYPE_CHECKING:  # a Mapping's own takes what it iterates over

        @overload
        def get(self, key: Label, default: None = None, /) -> T | None: ...
        @overload
        def get(self, key: Label, default: D, /) -> T | D: ...
        def get(self, key: Any, default: Any = None, /) -> Any: ...

    def __init__(self, labels: LabelSet, values: dict[IntEnum, T]) -> None:
        self._labels = labels
        self._values = values

    def __getitem__(self, key: object) -> T:
        """The value of a label.

        Raises:
            LabelError: (a KeyError) there is no such label, or nothing is known of it.
        """
        member = self._labels.find(key)
        if member is None or member not in self._values:
            raise LabelError(
                f"there is nothing for {getattr(member, 'name', ARGMAX)}. There is for: "
                + (", ".join(each.name for each in self._values) or "no label")
            )
        return self._values[member]

    def __iter__(self) -> Iterator[IntEnum]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr({member.name: value for member, value in self._values.items()})
