"""A flow over a base density: as a density, or as an amortised posterior."""

from collections.abc import Callable

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import DistributionLayer
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError
from tfade.flows.layer import FlowLayer
from tfade.flows.noise import TrainingNoise

tfd = tfp.distributions


@gin.register
class FlowDistribution(DistributionLayer):
    """x = f(z; context), z ~ base(context):   log p(x) = log p(z) + log |det ∂z/∂x|.

    With a context it is an amortised posterior. A sample and its density take one evaluation of every conditioner in
    flows that are fast from latents to data (couplings, IAF), the density of given points one in those that are fast
    from data to latents (couplings, MAF).

    T goes to the base. For flows of constant volume over a normal base that is p^(1/τ) with T = √τ, for others an
    approximation (Kingma and Dhariwal 2018).

    Args:
        flow: the flow, or a class that makes it, without arguments.
        base: the base density over the flow's latents, or a class that makes it. It is given the context as well, so a
            `DiagonalNormal` is the usual start of a posterior.

    Raises:
        UsageError: something else than a flow or a distribution.

    Reference: Rezende and Mohamed 2015; Kingma et al. 2016 (IAF); Papamakarios et al. 2017 (MAF).
    """

    def __init__(
        self,
        flow: FlowLayer | Callable[[], FlowLayer],
        base: DistributionLayer | Callable[[], DistributionLayer] = StandardNormal,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.flow = flow if isinstance(flow, FlowLayer) or not callable(flow) else flow()
        self.base = base if isinstance(base, DistributionLayer) or not callable(base) else base()
        if not isinstance(self.flow, FlowLayer):
            raise UsageError(f"flow={flow!r} is not a flow; see tfade.flows for those that are")
        if not isinstance(self.base, DistributionLayer):
            raise UsageError(f"base={base!r} is not a distribution; see tfade.distributions for those that are")

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        self.flow.build(self.event_shape, context_size)
        self.base.build(self.flow.latent_shape, context_size)

    @property
    def is_fitted(self):
        return self.base.is_fitted

    @property
    def likelihood(self):
        return likelihood_over(self.flow, self.base)

    def initialise(self, x, context=None):
        context = self.checked_context(context)
        self.base.initialise(self.flow.initialise(tf.cast(x, self.variable_dtype), context), context)

    def negative_log_likelihood(self, x, seeds):
        if self.flow.is_exact:
            return super().negative_log_likelihood(x, seeds)
        bijector = self.flow.bijector(noise=TrainingNoise(seeds))  # fresh: densities of data have noise of their own
        latents, log_det = bijector.inverse_and_log_det(tf.cast(x, self.variable_dtype))
        return -(self.base.distribution().log_prob(latents) + log_det)

    def _distribution(self, context, temperature):
        return tfd.TransformedDistribution(
            self.base.distribution(context, temperature), self.flow.bijector(context), name=self.name
        )

    def _from_noise(self, noise, context):
        latents, log_prob = self.base.from_noise(noise, context)
        value, log_det = self.flow.bijector(context).forward_and_log_det(latents)
        return value, log_prob - log_det


def likelihood_over(flow: FlowLayer, base: DistributionLayer) -> str:
    """The `likelihood` of a flow over a base: "unbiased" where its log-determinant is estimated, else the base's."""
    return "unbiased" if base.likelihood == "exact" and not flow.is_exact else base.likelihood
