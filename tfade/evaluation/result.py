"""One evaluated number with what makes it comparable: its uncertainty and its protocol."""

import dataclasses
import json
import math

from tfade.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Result:
    """A number that an evaluation gave.

    Attributes:
        name: what was measured, such as "frechet_distance".
        value: the number, finite.
        std: one standard error of `value` (or its spread over what the protocol names: splits, subsets), or None.
        protocol: everything another number must share to stand in the same column: sizes, split, extractor, seed.
            Keys are strings; values are what JSON can hold.

    Raises:
        UsageError: the value or its uncertainty is not finite, or the protocol does not fit into JSON.
    """

    name: str
    value: float
    std: float | None = None
    protocol: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        # NumPy scalars become Python numbers, so that a Result compares and prints alike before and after JSON.
        object.__setattr__(self, "value", _finite(self.name, "value", self.value))
        if self.std is not None:
            object.__setattr__(self, "std", _finite(self.name, "std", self.std))
            if self.std < 0:
                raise UsageError(f"std={self.std} of result {self.name!r} is negative; give a standard error or None")
        try:
            object.__setattr__(self, "protocol", json.loads(json.dumps(self.protocol, allow_nan=False)))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"protocol={self.protocol!r} of result {self.name!r} does not fit into JSON ({error}); "
                "use strings, finite Python numbers, lists and dictionaries"
            ) from error

    def to_json(self) -> dict:
        """The result as a dictionary of what JSON can hold; `Result(**it)` restores it."""
        return dataclasses.asdict(self)

    def renamed(self, name: str) -> "Result":
        """The same result under another name."""
        return dataclasses.replace(self, name=name)

    def with_protocol(self, **more) -> "Result":
        """The same result with more said about how it was made; what it says already stays."""
        return dataclasses.replace(self, protocol={**more, **self.protocol})


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture that an evaluation gave: images or a plot.

    Attributes:
        name: of its file, lower case with underscores.
        caption: what one sees, in a sentence or two, sizes included.
        png: the file's bytes.
    """

    name: str
    caption: str
    png: bytes


def _finite(name: str, field: str, number) -> float:
    try:
        number = float(number)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{field}={number!r} of result {name!r} is not a number; give a finite float") from error
    if not math.isfinite(number):
        raise UsageError(f"{field}={number} of result {name!r} is not finite; report why instead of a number")
    return number
