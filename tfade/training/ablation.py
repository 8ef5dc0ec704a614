"""What an ablation compares: rows of a table, each a recipe, all with the same data, budget and seeds."""

import dataclasses
from collections.abc import Mapping, Sequence

import gin

from tfade.errors import UsageError


@gin.register
@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: as the paper has it.
        gin_files: its recipe, and what is laid over it; paths from the root of the repository.
        bindings: gin lines over these.
        paper: published numbers by the name of their column, as text; brackets and all.
    """

    name: str
    gin_files: Sequence[str]
    bindings: Sequence[str] = ()
    paper: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as part of a path."""
        return "".join(letter if letter.isalnum() else "_" for letter in self.name.lower())


@gin.register
@dataclasses.dataclass(frozen=True)
class Ablation:
    """The table.

    Attributes:
        title: its heading, with its source.
        rows: instances of `Row`.
        reference: name of the row whose Fréchet distance the others are divided by.
        gin_files: laid over every row: the data.
        bindings: gin lines over every row: the budget.
        evaluation: gin lines over a finished run when it is evaluated.
        seeds: of the runs of every row.
        tolerance: share by which the rows' parameters of p(x) may differ; None for any.

    Raises:
        UsageError: no rows, two of one name, no seeds, or a reference that is no row.
    """

    title: str
    rows: Sequence[Row]
    reference: str
    gin_files: Sequence[str] = ()
    bindings: Sequence[str] = ()
    evaluation: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    tolerance: float | None = 0.015

    def __post_init__(self):
        names = [row.name for row in self.rows]
        if not names or len({row.slug for row in self.rows}) < len(names):
            raise UsageError(f"Ablation.rows are named {names}; give one row or more, each with a name of its own")
        if self.reference not in names:
            raise UsageError(f"Ablation.reference={self.reference!r} is no row; the rows are {', '.join(names)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"Ablation.seeds={tuple(self.seeds)!r}; give one seed or more, each once")

    def check_parameters(self, counts: Mapping[str, int]) -> float:
        """The share by which the rows differ in parameters.

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
