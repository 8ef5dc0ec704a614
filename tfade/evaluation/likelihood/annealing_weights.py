"""Annealed importance sampling before and after the chains: inverse temperatures, and statistics of the weights."""

import dataclasses

import numpy as np

from tfade.errors import UsageError


def sigmoid_schedule(steps: int, rad: float = 4.0) -> np.ndarray:
    """β_t = (s_t - s_0) / (s_T - s_0), s_t = σ(rad (2t/T - 1)): float64 [steps + 1] from 0 to 1.

    Raises:
        UsageError: fewer than one step, or a `rad` that is not positive.

    Reference: Wu et al. 2017 (code).
    """
    if steps < 1 or not rad > 0:
        raise UsageError(f"steps={steps!r}, rad={rad!r}; give at least one step and a positive rad, such as 1000 and 4")
    values = 1 / (1 + np.exp(-rad * np.linspace(-1, 1, steps + 1)))
    return (values - values[0]) / (values[-1] - values[0])


def checked_schedule(schedule) -> np.ndarray:
    """Inverse temperatures as float64 [steps + 1].

    Raises:
        UsageError: they do not rise from 0 to 1.
    """
    betas = np.asarray(schedule, np.float64)
    if betas.ndim != 1 or len(betas) < 2 or not (np.diff(betas) > 0).all() or betas[0] != 0 or betas[-1] != 1:
        raise UsageError(
            f"schedule has shape {list(betas.shape)} and values {np.array2string(betas.ravel(), threshold=6)}; "
            "give inverse temperatures [steps + 1] that rise from 0 to 1, each above the one before"
        )
    return betas


@dataclasses.dataclass(frozen=True)
class Annealed:
    """Chains of every example after the last temperature.

    Attributes:
        log_weights: nats, float64 [chains, N].
        acceptance: share of the proposals accepted in the last tenth of the transitions (at least 20, or all), over
            the chains of an example, [N].
        step_size: of the last transition, [N].
    """

    log_weights: np.ndarray
    acceptance: np.ndarray
    step_size: np.ndarray

    @property
    def log_mean_weight(self) -> np.ndarray:
        """log 1/C Σ_c w_c of every example, [N]."""
        most = self.log_weights.max(0)
        return most + np.log(np.exp(self.log_weights - most).mean(0))

    @property
    def effective_sample_size(self) -> np.ndarray:
        """(Σ w)² / Σ w² of every example, [N], from 1 to the number of chains."""
        weights = np.exp(self.log_weights - self.log_weights.max(0))
        return weights.sum(0) ** 2 / (weights**2).sum(0)

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of `log_mean_weight`, to first order in the weights' coefficient of variation, [N]."""
        chains = len(self.log_weights)
        return np.sqrt(np.maximum(chains / self.effective_sample_size - 1, 0) / (chains - 1))


def check_weights(log_weights) -> None:
    """Rejects log weights [chains, N] that are NaN or infinite."""
    bad = ~np.isfinite(log_weights)
    if bad.any():
        raise UsageError(
            f"log_likelihood gave {int(bad.sum())} non-finite log weights of {bad.size}, in "
            f"{int(bad.any(0).sum())} of {bad.shape[1]} examples; it must be finite wherever the chains go"
        )


def check_acceptance(annealed: Annealed) -> None:
    """Rejects chains that accept no proposal at the end."""
    stuck = annealed.acceptance == 0
    if stuck.any():
        raise UsageError(
            f"chains of {int(stuck.sum())} of {len(stuck)} examples accept no proposal at the end (with a step size "
            f"of {annealed.step_size[stuck].min():.2g}), so their weights mean nothing; take more steps, a smaller "
            "step_size, or a broader observation model"
        )
