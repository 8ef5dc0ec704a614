"""What a metric of the suite is. To add one, write a class:

    @gin.register
    class Sharpness(Metric):
        \"""What it measures; its reference.\"""

        name = "sharpness"

        def __call__(self, subject):
            return [Result("sharpness", value, std, {**subject.protocol(), ...}, real=...)]

and import it in `tfade/evaluation/__init__.py`. `select` finds it by its name, README lists it; `evaluate` times it
and hands it over to be saved. A metric asks the `Subject` for samples, real images and their features, which are
computed once for all metrics, and raises `NotApplicable(reason)` where it does not fit. Its settings are constructor
arguments with defaults, which gin can bind. The same number of real data goes into a result's `real`, and is printed
beside the model's. A `Figure` among the results is a picture for the report.
"""

import abc
from typing import NamedTuple

from tfade.evaluation.result import Figure, Result
from tfade.evaluation.subject import Subject


class Work(NamedTuple):
    """What a metric costs: how many examples pass a network, roughly, and a description of these passes."""

    passes: int
    description: str


class Metric(abc.ABC):
    """One line of the suite.

    Attributes:
        name: what users type and what its file is called; lower case with underscores.
        default: whether it belongs to an evaluation that names no metrics, as at the end of a training: seconds, not
            minutes.
    """

    name: str
    default: bool = True

    def work(self, subject: Subject) -> Work:
        """What the metric takes beside what all metrics share; it must answer at once, and asks the model nothing."""
        return Work(0, "")

    @abc.abstractmethod
    def __call__(self, subject: Subject) -> list[Result | Figure]:
        """Measures the subject: results, the most important first, and figures.

        Raises:
            NotApplicable: the metric does not fit this model or these data.
        """
