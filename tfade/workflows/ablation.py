"""What an ablation compares: rows of a table, each a recipe, all with the same data, budget and seeds."""

import dataclasses
from collections.abc import Mapping, Sequence

import gin

from tfade.contract import CODES
from tfade.errors import UsageError, check_choice, check_whole
from tfade.reporting.ablation_report import Table


@gin.register
@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: as in the paper.
        gin_files: its recipe and files that override it; paths from the root of the repository.
        bindings: gin lines that override these.
        paper: published numbers by the name of their column, as text, with any parentheses.
        codes_of: name of an earlier row, whose trained model is taken as it is: this row's recipe, such as
            gin/ex_post/mixture.gin, is a density of its codes, and its minutes are those of the density. None for a
            row that trains all of its model.
        codes: of such a row, "centres" of the posteriors or "samples".

    Raises:
        UsageError: a value that is not a string, or not a sequence of strings.
    """

    name: str
    gin_files: Sequence[str]
    bindings: Sequence[str] = ()
    paper: Mapping[str, str] = dataclasses.field(default_factory=dict)
    codes_of: str | None = None
    codes: str = "centres"

    def __post_init__(self):
        check_choice(f"Row.codes of {self.name}", self.codes, CODES)
        if not isinstance(self.name, str) or not self.name:
            raise UsageError(f"Row.name={self.name!r} is not a string; give a name such as 'AV-ADE'")
        _check_strings(f"Row.gin_files of {self.name}", self.gin_files)
        _check_strings(f"Row.bindings of {self.name}", self.bindings)
        if not isinstance(self.paper, Mapping):
            raise UsageError(f"Row.paper of {self.name}={self.paper!r} is not a dictionary such as {{'FID': '31.4'}}")

    @property
    def slug(self) -> str:
        """The name as part of a path."""
        return slug(self.name)


@gin.register
@dataclasses.dataclass(frozen=True)
class Ablation:
    """The table.

    Attributes:
        title: its heading, with its source.
        rows: instances of `Row`.
        reference: name of the row whose Fréchet distance the others are divided by.
        gin_files: override every row: the data.
        bindings: gin lines that override every row: the budget.
        evaluation: gin lines that override a finished run when it is evaluated.
        metrics: names of metrics, at least one. Bits per dimension, the classifier's Fréchet distance and the mean
            reconstruction error have columns of their own; so has every result of other metrics.
        num_samples: samples that are evaluated, at least 2.
        seeds: of the runs of every row.
        tolerance: fraction in [0, 1) by which the rows' numbers of parameters of p(x) may differ; None for no limit.

    Raises:
        UsageError: no rows, two rows of one name, no seeds, a reference that is not a row, a row's binding that those
            of the table override, or a value of a wrong type.
    """

    title: str
    rows: Sequence[Row]
    reference: str
    gin_files: Sequence[str] = ()
    bindings: Sequence[str] = ()
    evaluation: Sequence[str] = ()
    metrics: Sequence[str] = ("likelihood", "classifier_frechet_distance", "reconstruction_error")
    num_samples: int = 10_000
    seeds: Sequence[int] = (0,)
    tolerance: float | None = 0.015

    def __post_init__(self):
        if not isinstance(self.rows, Sequence) or not all(isinstance(row, Row) for row in self.rows):
            raise UsageError(
                f"Ablation.rows={self.rows!r} are not rows; write (@vae/Row(), @gan/Row()), with parentheses"
            )
        for name in ("gin_files", "bindings", "evaluation", "metrics"):
            _check_strings(f"Ablation.{name}", getattr(self, name))
        if not self.metrics:
            raise UsageError("Ablation.metrics=() is empty; give one or more, such as ('likelihood',)")
        names = [row.name for row in self.rows]
        if not names or len({row.slug for row in self.rows}) < len(names):
            raise UsageError(f"Ablation.rows are named {names}; give at least one row, each with a name of its own")
        for position, row in enumerate(self.rows):
            if row.codes_of is not None and row.codes_of not in names[:position]:
                raise UsageError(
                    f"Row.codes_of of {row.name}={row.codes_of!r} is not an earlier row; those are "
                    f"{', '.join(names[:position]) or 'none'}"
                )
            if lost := {_bound(line) for line in row.bindings} & {_bound(line) for line in self.bindings}:
                raise UsageError(
                    f"Row.bindings of {row.name} bind {', '.join(sorted(lost))}, which Ablation.bindings override; "
                    "leave it out of one of them"
                )
        if self.reference not in names:
            raise UsageError(f"Ablation.reference={self.reference!r} is not a row; the rows are {', '.join(names)}")
        if not isinstance(self.seeds, Sequence) or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"Ablation.seeds={self.seeds!r}; give at least one seed, each once, such as (0, 1)")
        check_whole("Ablation.num_samples", self.num_samples, least=2)
        for seed in self.seeds:
            check_whole("Ablation.seeds", seed, least=0)
        if self.tolerance is not None and not (isinstance(self.tolerance, (int, float)) and 0 <= self.tolerance < 1):
            raise UsageError(f"Ablation.tolerance={self.tolerance!r} is not a fraction in [0, 1); None sets no limit")

    def table(self) -> Table:
        """What its report says of it."""
        return Table(self.title, {row.name: row.paper for row in self.rows}, self.reference, self.seeds)

    def check_parameters(self, counts: Mapping[str, int]) -> float:
        """The fraction by which the rows differ in parameters.

        Args:
            counts: parameters of p(x) by the rows' names.

        Raises:
            UsageError: they differ by more than the tolerance.
        """
        most, least = max(counts.values()), min(counts.values())
        spread = (most - least) / most
        if self.tolerance is not None and spread > self.tolerance:
            listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            raise UsageError(
                f"the rows' parameters of p(x) differ by {spread:.1%} on these data ({listed}), more than "
                f"Ablation.tolerance={self.tolerance}; bind other widths in the rows, or Ablation.tolerance = None"
            )
        return spread


def slug(name: str) -> str:
    """A row's name as part of a path."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _bound(line: str) -> str:
    """What a gin line binds."""
    return line.partition("=")[0].strip()


def _check_strings(name: str, value) -> None:
    """Rejects anything but a sequence of strings; a string alone would be taken for a sequence of its characters."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise UsageError(f"{name}={value!r} is not a sequence of strings; give ('one',), with its comma, or ('a', 'b')")
