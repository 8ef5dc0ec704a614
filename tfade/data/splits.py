"""Which stored examples make up "train", "validation" and "test" when a data set does not have all three."""

import dataclasses

import numpy as np

from tfade.data.source import SPLITS
from tfade.data.transforms import Transform
from tfade.errors import UsageError


class MissingSplit(UsageError):
    """The data do not have the requested split."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A split as part of a stored one.

    Attributes:
        stored: name of the stored split to read.
        role: which of its examples to take.
        carved: the roles among which the stored split is divided; (role,) when it is taken whole.
        carve: one example in `carve` goes to each role besides "train".
    """

    stored: str
    role: str
    carved: tuple[str, ...]
    carve: int | None

    @property
    def is_whole(self) -> bool:
        return self.carved == (self.role,)

    def describe(self, transform: Transform) -> str:
        """How the stored examples became this split: `Spec.preprocessing`."""
        carving = "" if self.is_whole else f"carved by {self.carve}"
        return ", ".join(text for text in (transform.describe(), carving) if text)

    def chosen(self, numbers: np.ndarray) -> np.ndarray:
        """Which examples belong to this part, given a number (a position, a hash) for each: bool [n].

        Modulo `carve`, "validation" takes the remainder ⌈carve / 2⌉ − 1, and "test" the remainder carve − 1.
        """
        if self.is_whole:
            return np.ones(len(numbers), bool)
        place = np.asarray(numbers) % self.carve
        places = {"validation": (self.carve + 1) // 2 - 1, "test": self.carve - 1}
        if self.role != "train":
            return place == places[self.role]
        return ~np.isin(place, [places[role] for role in self.carved if role != "train"])

    def bounds(self, num_examples: int) -> tuple[int, int]:
        """This part as a contiguous range [start, stop) of examples that are stored in random order.

        "train" comes first, then "validation", then "test".
        """
        if self.is_whole:
            return 0, num_examples
        held_out = num_examples // self.carve
        first = num_examples - held_out * (len(self.carved) - 1)
        ranges = {"train": (0, first)}
        for place, role in enumerate(self.carved[1:]):
            ranges[role] = (first + place * held_out, first + (place + 1) * held_out)
        return ranges[self.role]


def plan(name: str, split: str, stored: dict[str, str], carve: int | None) -> Part:
    """Where to find a split. One rule for all kinds of data:

    * all three stored: each is used as it is;
    * no "validation": one in `carve` examples of "train" is held out for validation;
    * no "test": the stored "validation" is the test split, and validation is carved from "train";
    * neither: both are carved from "train".

    Args:
        name: the data set, for messages.
        split: "train", "validation" or "test".
        stored: the splits that exist: "train", "validation" or "test" → the set's own name.
        carve: one example in how many to hold out, 3 or more; None holds out nothing and leaves "train" whole.

    Raises:
        MissingSplit: the split is not stored and cannot be carved.
        UsageError: `carve` is out of range.
    """
    if carve is not None and (not isinstance(carve, int) or carve < 3):
        raise UsageError(
            f"carve={carve!r} is not possible; hold out one example in 3 or more, or None to hold out none"
        )
    stored = dict(stored)
    if "test" not in stored and "validation" in stored:
        stored["test"] = stored.pop("validation")
    carved = ("train",) if carve is None else tuple(role for role in SPLITS if role == "train" or role not in stored)
    if split in carved:
        if "train" not in stored:
            raise MissingSplit(f"data={name!r} has no train split, only {', '.join(sorted(stored.values()))}")
        return Part(stored["train"], split, carved, carve)
    if split not in stored:
        raise MissingSplit(
            f"data={name!r} has no {split} split of its own and load.carve is None; set load.carve = 10 to hold some "
            "out, or add the split"
        )
    return Part(stored[split], split, (split,), None)
