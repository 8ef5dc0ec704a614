"""One evaluated number with what makes it comparable: its uncertainty, its protocol, its real-data counterpart."""

import dataclasses
import json
import math
from typing import Self

import numpy as np

from tfade.errors import UsageError


class NotApplicable(Exception):
    """A metric does not apply to the model or the data. The suite reports the reason in place of results."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A number that an evaluation gave.

    Attributes:
        name: what was measured, such as "frechet_distance".
        value: the number, finite.
        std: one standard error of `value` (or its spread over what the protocol names: splits, subsets), or None.
        protocol: what must agree for two numbers to stand in one column of a table: sizes, split, extractor, seed.
            Keys are strings; values are what JSON can hold.
        diagnostics: what may differ within a column, of the same form: properties of the model, and how well an
            estimator worked, such as effective sample sizes, acceptance, or a bandwidth chosen on validation data.
        real: the same number of real data in the samples' place, under the same name and with a protocol of its own, or
            None.

    Raises:
        UsageError: the value or its uncertainty is not finite, or protocol or diagnostics do not fit into JSON.
    """

    name: str
    value: float
    std: float | None = None
    protocol: dict = dataclasses.field(default_factory=dict)
    diagnostics: dict = dataclasses.field(default_factory=dict)
    real: "Result | None" = None

    def __post_init__(self):
        # NumPy scalars become Python numbers, so that a Result compares and prints alike before and after JSON.
        object.__setattr__(self, "value", _finite(self.name, "value", self.value))
        if self.std is not None:
            object.__setattr__(self, "std", _finite(self.name, "std", self.std))
            if self.std < 0:
                raise UsageError(f"std={self.std} of result {self.name!r} is negative; give a standard error or None")
        for field in ("protocol", "diagnostics"):
            object.__setattr__(self, field, self._plain(field))
        if self.real is not None and self.real.name != self.name:
            object.__setattr__(self, "real", dataclasses.replace(self.real, name=self.name))

    def _plain(self, field: str) -> dict:
        content = getattr(self, field)
        try:
            return json.loads(json.dumps(content, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{field}={content!r} of result {self.name!r} does not fit into JSON ({error}); "
                "use strings, finite Python numbers, lists and dictionaries"
            ) from error

    def to_json(self) -> dict:
        """The result as a dictionary of what JSON can hold, without what a subclass adds; `from_json` restores it."""
        return {
            "name": self.name,
            "value": self.value,
            "std": self.std,
            "protocol": self.protocol,
            "diagnostics": self.diagnostics,
            "real": None if self.real is None else self.real.to_json(),
        }

    @classmethod
    def from_json(cls, content: dict) -> Self:
        """The result that `to_json` made a dictionary of."""
        real = content["real"]
        return cls(**{**content, "real": None if real is None else cls.from_json(real)})

    def renamed(self, name: str) -> Self:
        """The same result under another name."""
        return dataclasses.replace(self, name=name)

    def with_protocol(self, **more) -> Self:
        """The same result, and its real counterpart, with more keys in the protocol; present keys keep their values."""
        real = None if self.real is None else self.real.with_protocol(**more)
        return dataclasses.replace(self, protocol={**more, **self.protocol}, real=real)

    def with_real(self, real: "Result | None") -> Self:
        """The same result with its real-data counterpart."""
        return dataclasses.replace(self, real=real)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture that an evaluation gave: images or a plot.

    Attributes:
        name: of its file, lower case with underscores.
        caption: what it shows, in a sentence or two, sizes included.
        png: the file's bytes.
    """

    name: str
    caption: str
    png: bytes


def standard_error(values: np.ndarray, groups: np.ndarray | None = None) -> float | None:
    """The standard error of the mean of values [N] that are independent, or independent between groups.

        s² = G / (G - 1) · Σ_g (Σ_{i in g} (x_i - x̄))² / N²

    Args:
        values: [N].
        groups: which of G groups each value is of, integers [N] in [0, G); None for N groups of one.

    Returns:
        s; None of one group.
    """
    deviations = values - values.mean()
    sums = deviations if groups is None else np.bincount(groups, deviations)
    if len(sums) < 2:
        return None
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(values))


def threshold_error(inside: np.ndarray, outside: np.ndarray, level: float, resamples: int = 200) -> float:
    """The standard error of the share of one set beyond a quantile of another, by the bootstrap.

    Both sets are resampled: the threshold is an estimate, too, and between equal distributions it brings as much
    variance as the share.

    Args:
        inside: [N], whose quantile at `level` in [0, 1] is the threshold.
        outside: [M], the share of which is meant.
        level: of the quantile.
        resamples: of either set.
    """
    generator, shares = np.random.Generator(np.random.Philox(key=0)), []
    for _ in range(resamples):
        known, others = (values[generator.integers(len(values), size=len(values))] for values in (inside, outside))
        shares.append((others >= np.quantile(known, level)).mean())
    return float(np.std(shares, ddof=1))


def _finite(name: str, field: str, number) -> float:
    try:
        number = float(number)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{field}={number!r} of result {name!r} is not a number; give a finite float") from error
    if not math.isfinite(number):
        raise UsageError(f"{field}={number} of result {name!r} is not finite; raise NotApplicable with the reason")
    return number
