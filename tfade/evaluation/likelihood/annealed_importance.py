"""log p(x) of a model with a decoder by annealed importance sampling, and bounds on its error."""

from collections.abc import Callable

import gin
import numpy as np

from tfade.errors import check_choice, check_positive, check_sizes, check_whole
from tfade.evaluation.choice import chosen
from tfade.evaluation.likelihood.annealing import Annealing
from tfade.evaluation.likelihood.annealing_weights import Annealed, checked_schedule, sigmoid_schedule
from tfade.evaluation.likelihood.estimators import estimated_model, observation_protocol, on_gpu, with_bits
from tfade.evaluation.likelihood.latent_model import latent_model
from tfade.evaluation.likelihood.nll import checked_examples, checked_nats
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import NotApplicable, Result, standard_error
from tfade.seeds import ExampleNoise, noise_key


def annealed_importance_sampling(
    *,
    x,
    log_likelihood: Callable,
    prior,
    initial: Callable | None = None,
    simulate: Callable | None = None,
    num_simulated: int = 16,
    log_det=None,
    groups=None,
    chains: int = 16,
    steps: int = 1000,
    schedule=None,
    leapfrogs: int = 10,
    step_size: float = 0.1,
    target_acceptance: float = 0.65,
    batch_size: int = 64,
    seed: int = 0,
    jit_compile: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> Result:
    """Mean over examples of an estimate of log p(x), p(x) = ∫ p(z) p(x | z) dz, from below.

        log p̂(x) = log 1/C Σ_c w_c,    E w = p(x),  so that E log p̂(x) ≤ log p(x)

    with the weights of chains from the prior (or q) to the posterior; see `Annealing`. With `simulate`, examples of the
    model itself are estimated from both sides, see `bidirectional_bounds`.

    Args:
        x: examples [N, ...], as `log_likelihood` takes them: continuous, and the same at every call.
        log_likelihood: latents [rows, latent_size] and examples [rows, ...] → log p(x | z) in nats [rows], every row
            for itself, differentiable in the latents.
        prior: p(z), a TFP distribution over [latent_size].
        initial: examples [batch, ...] → q, a TFP distribution over [latent_size] of batch shape [batch], such as an
            encoder's posterior, where the chains start; None for the prior.
        simulate: latents [1, latent_size] and a seed [2] → an example [1, ...] drawn from p(x | z).
        num_simulated: examples drawn for the gap.
        log_det: nats [N] to be added, of the map from data to `x`; None for none.
        groups: which distinct example each is, for the standard error; see `negative_log_likelihood`.
        chains, leapfrogs, step_size, target_acceptance, batch_size, seed, jit_compile, progress: see `Annealing`.
        steps: T of the sigmoid schedule with rad 4.
        schedule: other inverse temperatures [T + 1], rising from 0 to 1, in its place.

    Returns:
        `Result` "annealed_importance_sampling" in nats. Its std is the standard error over examples (with one example
        over the chains). The diagnostics hold that of the chains alone, `monte_carlo_error`, the effective sample size
        of the chains, from 1 to C, the share of proposals accepted at the end (see `Annealed`) and, with `simulate`,
        the gap and its std. Where the effective size is near 1 the errors are too small and the value is
        too low: take more steps until the gap is small.

    Raises:
        UsageError: an argument out of range, examples or weights that are not finite, or chains that accept nothing at
            the end.

    Reference: Neal 2001; Wu et al. 2017; Grosse et al. 2015 (gap).
    """
    x = checked_examples("x", x)
    betas = sigmoid_schedule(steps) if schedule is None else checked_schedule(schedule)
    settings = {
        "chains": chains,
        "leapfrogs": leapfrogs,
        "step_size": step_size,
        "target_acceptance": target_acceptance,
        "seed": seed,
    }
    annealing = Annealing(
        log_likelihood=log_likelihood,
        prior=prior,
        initial=initial,
        batch_size=min(batch_size, len(x)),
        progress=progress,
        jit_compile=jit_compile,
        **settings,
    )
    # Arguments are checked before the chains, which take minutes.
    shift = 0 if log_det is None else checked_nats("log_det", log_det, len(x))
    simulated = None if simulate is None else _simulated(annealing, simulate, num_simulated)
    annealing.plan([len(x)] + ([] if simulated is None else 2 * [num_simulated]), len(betas) - 1)
    annealed = annealing.run(x, betas)
    values = annealed.log_mean_weight + shift
    protocol = {
        "num_real": len(x),
        "unit": "nats",
        "steps": len(betas) - 1,
        "schedule": "sigmoid, rad 4" if schedule is None else "given",
        "start": "prior" if initial is None else "posterior",
        **settings,
        "dtype": prior.dtype.name,
    }
    diagnostics = {**_diagnostics(annealed), "jit_compile": jit_compile}
    if simulated is not None:
        protocol["num_simulated"] = num_simulated
        diagnostics |= _gap(*_bounds(annealing, betas, *simulated))
    error = standard_error(values, groups) if len(x) > 1 else diagnostics["monte_carlo_error"]
    return Result("annealed_importance_sampling", values.mean(), error, protocol, diagnostics)


def bidirectional_bounds(
    annealing: Annealing, betas: np.ndarray, simulate: Callable, num_simulated: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper estimates of log p(x) of simulated examples, in nats [num_simulated] each.

        lower:  log 1/C Σ_c w_c,  E w = p(x);    upper:  -log 1/C Σ_c w̃_c,  E w̃ = 1 / p(x)

    Latents drawn from the prior are an exact sample of the posterior of the example that is simulated from them. Chains
    that start there and take the schedule backwards bound log p(x) from above in expectation, as those that take it
    forwards do from below. On data the error of the forward chains is not known; where the model fits them it is about
    as large as here.

    Args:
        annealing: the chains.
        betas: inverse temperatures [steps + 1], rising from 0 to 1.
        simulate, num_simulated: see `annealed_importance_sampling`.

    Raises:
        UsageError: no example to simulate, simulated examples or weights that are not finite, or chains that accept
            nothing at the end.

    Reference: Grosse et al. 2015; Wu et al. 2017, section 4.2.
    """
    return _bounds(annealing, checked_schedule(betas), *_simulated(annealing, simulate, num_simulated))


@gin.register
class AnnealedImportanceSampling(Metric):
    """log p of some test data by annealed importance sampling, its bits, and the bidirectional gap on simulated data.

    Args:
        num_real: examples of the real split.
        num_simulated: examples of the model for the gap; 0 for none.
        start: "prior", or "posterior" of the model's encoder, where chains start.
        sigma: σ of the observation model where the model has none of its own, see `latent_model`.
        chains, steps, leapfrogs, step_size, batch_size: see `annealed_importance_sampling`.
        jit_compile: likewise; None for XLA on a GPU only, as it slows convolutions on CPUs.

    Reference: Wu et al. 2017.
    """

    name = "annealed_importance_sampling"
    default = False

    def __init__(
        self,
        num_real: int = 64,
        num_simulated: int = 16,
        start: str = "prior",
        sigma: float = 0.1,
        chains: int = 16,
        steps: int = 1000,
        leapfrogs: int = 10,
        step_size: float = 0.1,
        batch_size: int = 64,
        jit_compile: bool | None = None,
    ):
        owner = type(self).__name__
        check_choice(f"{owner}.start", start, ("prior", "posterior"))
        check_sizes(owner, num_real=num_real, chains=chains, steps=steps, leapfrogs=leapfrogs, batch_size=batch_size)
        check_whole(f"{owner}.num_simulated", num_simulated, 0)
        check_positive(f"{owner}.sigma", sigma)
        check_positive(f"{owner}.step_size", step_size)
        self.num_real, self.num_simulated, self.start, self.sigma = num_real, num_simulated, start, sigma
        self.settings = {
            "chains": chains,
            "steps": steps,
            "leapfrogs": leapfrogs,
            "step_size": step_size,
            "batch_size": batch_size,
            "jit_compile": on_gpu() if jit_compile is None else jit_compile,
        }

    def work(self, subject):
        examples = min(self.num_real, subject.real.spec.num_examples) + 2 * self.num_simulated
        chains, steps, leapfrogs = (self.settings[name] for name in ("chains", "steps", "leapfrogs"))
        passes = examples * chains * steps * leapfrogs
        description = f"{examples:,} examples × {chains:,} chains × {steps:,} temperatures × {leapfrogs} leapfrogs"
        return Work(passes, description)

    def __call__(self, subject):
        model, examples = estimated_model(subject), chosen(subject.real, self.num_real, subject.seed)
        view = latent_model(model, examples, None if model.answers("observation") else self.sigma)
        if self.start == "posterior" and view.posterior is None:
            raise NotApplicable(f"{type(model).__name__} has no encoder with a density where chains could start")
        result = annealed_importance_sampling(
            x=view.x,
            log_likelihood=view.log_likelihood,
            prior=view.prior,
            initial=view.posterior if self.start == "posterior" else None,
            simulate=view.simulate if self.num_simulated else None,
            num_simulated=self.num_simulated,
            log_det=view.log_det,
            groups=view.repeats.groups,
            seed=subject.seed,
            progress=subject.progress,
            **self.settings,
        ).with_protocol(**subject.protocol(), **{**view.protocol, **observation_protocol(model, subject)})
        results = with_bits(result, model, subject)
        if self.num_simulated:
            gap = (result.diagnostics[key] for key in ("bidirectional_gap", "bidirectional_gap_std"))
            protocol = {**result.protocol, "examples": f"{self.num_simulated} simulated"}
            results.append(Result(f"{self.name}_gap", *gap, protocol, result.diagnostics))
        return results


def _simulated(annealing: Annealing, simulate: Callable, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples [count, ...] and the latents [count, latent_size] that they were drawn from."""
    check_whole("num_simulated", count)  # 16 give a useful mean
    noise = ExampleNoise(noise_key(annealing.seed, "simulated"), np.arange(count))
    latents, examples = [], []
    for of_latents, of_example in zip(noise.seed(0), noise.seed(1)):
        latents.append(annealing.prior.sample(1, seed=of_latents))
        examples.append(np.asarray(simulate(latents[-1], of_example)))
    return checked_examples("simulate", np.concatenate(examples)), np.concatenate(latents)


def _bounds(annealing: Annealing, betas, x, latents) -> tuple[np.ndarray, np.ndarray]:
    forward = annealing.run(x, betas, name="simulated, forward")
    backward = annealing.run(x, betas[::-1].copy(), start=latents, name="simulated, backward")
    return forward.log_mean_weight, -backward.log_mean_weight


def _gap(lower: np.ndarray, upper: np.ndarray) -> dict:
    return {
        "simulated_lower_bound": float(lower.mean()),
        "simulated_upper_bound": float(upper.mean()),
        "bidirectional_gap": float((upper - lower).mean()),
        "bidirectional_gap_std": standard_error(upper - lower),
    }


def _diagnostics(annealed: Annealed) -> dict:
    sizes, accepted = annealed.effective_sample_size, annealed.acceptance
    return {
        "monte_carlo_error": float(np.sqrt((annealed.standard_error**2).sum()) / len(sizes)),
        "effective_sample_size_mean": float(sizes.mean()),
        "effective_sample_size_min": float(sizes.min()),
        "acceptance_end_mean": float(accepted.mean()),
        "acceptance_end_min": float(accepted.min()),
        "step_size_end_mean": float(annealed.step_size.mean()),
    }
