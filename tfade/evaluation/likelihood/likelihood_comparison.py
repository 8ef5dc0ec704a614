"""Flow-GAN's comparison: the exact likelihood of a model beside the estimates that serve models without one."""

import gin

from tfade.errors import check_positive, check_sizes
from tfade.evaluation.choice import choose
from tfade.evaluation.likelihood.annealed_importance import AnnealedImportanceSampling
from tfade.evaluation.likelihood.latent_model import pixel_protocol
from tfade.evaluation.likelihood.nll import checked_nats
from tfade.evaluation.likelihood.parzen import BANDWIDTHS, ParzenLogLikelihood
from tfade.evaluation.likelihood.repeats import log_probs
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result, standard_error

PREFIX = "comparison_"


@gin.register
class LikelihoodComparison(Metric):
    """Flow-GAN's table 3: exact log-likelihood, annealed importance sampling and kernels, of the same test data.

    All three are nats of the same dequantised images, with the same noise. The second is of another density: the
    model's images with normal noise, N(G(z), σ² I). The paper finds that the three rank models differently. The
    estimates are those of the metrics `AnnealedImportanceSampling` and `ParzenLogLikelihood`, under the prefix
    "comparison_": this metric makes them of equal test data and adds the exact value of these.

    Args:
        num_real: test data.
        num_validation: validation data for the choice of the bandwidth, see `ParzenLogLikelihood`.
        simulated: whether the bidirectional gap is estimated, too; it takes twice as long again.
        sigma, chains, steps, leapfrogs, step_size, batch_size, jit_compile: see `AnnealedImportanceSampling`.
        bandwidths: see `parzen_log_likelihood`.

    Reference: Grover, Dhar and Ermon 2018, table 3.
    """

    name = "likelihood_comparison"
    default = False

    def __init__(
        self,
        num_real: int = 64,
        num_validation: int = 1000,
        sigma: float = 0.1,
        chains: int = 16,
        steps: int = 1000,
        leapfrogs: int = 10,
        step_size: float = 0.1,
        simulated: bool = True,
        batch_size: int = 64,
        jit_compile: bool | None = None,
        bandwidths=BANDWIDTHS,
    ):
        owner = type(self).__name__
        check_sizes(owner, num_real=num_real, num_validation=num_validation, batch_size=batch_size)
        check_sizes(owner, chains=chains, steps=steps, leapfrogs=leapfrogs)
        check_positive(f"{owner}.sigma", sigma)
        check_positive(f"{owner}.step_size", step_size)
        self.num_real, self.batch_size = num_real, batch_size
        self.annealing = AnnealedImportanceSampling(
            num_real=num_real,
            num_simulated=16 if simulated else 0,
            sigma=sigma,
            chains=chains,
            steps=steps,
            leapfrogs=leapfrogs,
            step_size=step_size,
            batch_size=batch_size,
            jit_compile=jit_compile,
        )
        self.parzen = ParzenLogLikelihood(num_real, num_validation, bandwidths)

    def work(self, subject):
        return self.annealing.work(subject)

    def __call__(self, subject):
        if subject.model.likelihood != "exact":
            raise NotApplicable(f"{type(subject.model).__name__} has no exact likelihood to compare estimates with")
        subject.progress(f"  exact log-likelihood of {self.num_real:,} examples")
        exact = self._exact(subject)
        subject.progress(f"  annealed importance sampling of {self.num_real:,} examples")
        annealed = {result.name: result for result in self.annealing(subject)}[self.annealing.name]
        subject.progress(f"  kernels around {subject.num_samples:,} samples")
        return [result.renamed(PREFIX + result.name) for result in (exact, annealed, *self.parzen(subject))]

    def _exact(self, subject) -> Result:
        indices = choose(subject.real, self.num_real, subject.seed)
        nats, repeats = log_probs(subject.model, subject, indices, "exact", size=self.batch_size)
        nats = checked_nats("log_prob", nats, len(indices))
        protocol = {"num_real": len(nats), "unit": "nats", **repeats.protocol}
        if subject.real.spec.is_image:
            protocol |= pixel_protocol(subject.model)
        result = Result("exact_log_likelihood", nats.mean(), standard_error(nats, repeats.groups), protocol)
        return result.with_protocol(**subject.likelihood_protocol())
