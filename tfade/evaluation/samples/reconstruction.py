"""Reconstruction errors in pixels, and how many reconstructions show the same class as their originals."""

import math

import gin
import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.answers import answers
from tfade.evaluation.checks import checked_integers, checked_unit, to_uint8
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result


class ErrorSums:
    """Mean absolute and root mean square error over a stream of images, in units of the range [0, 1].

        MAE = E|x − x̂|,    RMSE = (E (x − x̂)²)^½,    over all images, pixels and channels

    One number per image is kept, so the results depend on neither batch size nor order.
    """

    def __init__(self):
        self._absolute: list[float] = []
        self._square: list[float] = []

    def update(self, *, real, fake) -> "ErrorSums":
        """Adds a batch; returns itself.

        Args:
            real: originals, uint8 in 0..255 or float in [0, 1], [n, …].
            fake: their reconstructions, float in [0, 1], of the same shape.

        Raises:
            UsageError: shapes that differ, an empty batch, or values that are not finite or out of range.
        """
        real, fake = np.asarray(real), checked_unit("fake", fake)
        real = real / 255.0 if real.dtype == np.uint8 else checked_unit("real", real)
        if real.shape != fake.shape or not real.size:
            raise UsageError(
                f"fake has shape {list(fake.shape)} and real {list(real.shape)}; one reconstruction an image"
            )
        error = (real.astype(np.float64) - fake).reshape(len(real), -1)
        self._absolute += np.abs(error).mean(axis=1).tolist()
        self._square += np.square(error).mean(axis=1).tolist()
        return self

    def results(self) -> list[Result]:
        """[`Result` "mean_absolute_error", `Result` "root_mean_square_error"], each with its standard error."""
        if not self._absolute:
            raise UsageError("no images were given; update with at least one batch")
        protocol = {"num_real": len(self._absolute), "unit": "range [0, 1]", "dtype": "float64"}
        absolute, absolute_error = _mean(self._absolute)
        square, square_error = _mean(self._square)
        root = math.sqrt(square)
        # Delta method: d√m = dm / (2√m).
        root_error = square_error / (2 * root) if square_error is not None and root > 0 else square_error
        return [
            Result("mean_absolute_error", absolute, absolute_error, protocol),
            Result("root_mean_square_error", root, root_error, protocol),
        ]


def same_label_share(*, real, fake, num_modes: int) -> Result:
    """The share of reconstructions that one classifier gives the same label as their originals.

    Args:
        real: the mode that the classifier gives each original, integers [N] in [0, num_modes).
        fake: the mode that it gives the reconstruction, integers [N].
        num_modes: the number of modes.

    Returns:
        `Result` "same_label_share" in [0, 1] with its binomial standard error.

    Raises:
        UsageError: not integers in range, or of different lengths.
    """
    real, fake = checked_integers("real", real, num_modes), checked_integers("fake", fake, num_modes)
    if len(real) != len(fake):
        raise UsageError(f"fake has {len(fake)} modes and real {len(real)}; give one reconstruction for each original")
    share = float((real == fake).mean())
    error = math.sqrt(share * (1 - share) / len(real))
    return Result("same_label_share", share, error, {"num_real": len(real), "num_modes": num_modes})


@gin.register
class ReconstructionError(Metric):
    """Error of reconstructions of the whole split, and for labelled data the share that shows the same label."""

    name = "reconstruction_error"

    def __call__(self, subject):
        labelled = subject.labelled
        sums, same = ErrorSums(), ([], [])
        subject.require_images()
        found = answers(
            subject,
            lambda images, condition, seed: subject.model.reconstruct(images, **condition),
            subject.real,
            "reconstructions",
        )
        for _, images, reconstructed in found:
            reconstructed = checked_unit("reconstructions", reconstructed)
            sums.update(real=images, fake=reconstructed)
            if labelled:
                same[0].extend(subject.classifier.modes(images, subject.batch_size).tolist())
                rounded = to_uint8("reconstructions", reconstructed, subject.real.spec.shape)
                same[1].extend(subject.classifier.modes(rounded, subject.batch_size).tolist())
        protocol = {**subject.protocol(), **subject.model.code_protocol}
        if not labelled:
            protocol["same_label_share"] = f"not applicable: {subject.unlabelled}"
        results = [result.with_protocol(**protocol) for result in sums.results()]
        if labelled:
            share = same_label_share(real=same[0], fake=same[1], num_modes=subject.classifier.num_modes)
            results.append(share.with_protocol(**protocol, **subject.classifier.protocol))
        return results


def _mean(values: list[float]) -> tuple[float, float | None]:
    """The mean and its standard error (None for one value)."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
