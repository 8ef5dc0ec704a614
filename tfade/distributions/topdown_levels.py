"""One level of latents inside a decoder: normals over a map, given the features that the levels above lead to."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.scales import bounded_log_scale
from tfade.errors import UsageError, check_choice, check_class
from tfade.flows.layer import FlowLayer
from tfade.networks.topdown import TopDownBlock
from tfade.networks.topdown_decoder import LevelDraw

tfd = tfp.distributions
MERGES = ("precision", "sum")


def precision_weighted(one, other) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and log σ of the normalised product of two normals, each given by its mean and log σ.

        μ = (μ₁/σ₁² + μ₂/σ₂²) / (1/σ₁² + 1/σ₂²),   1/σ² = 1/σ₁² + 1/σ₂²

    Reference: Sønderby et al. 2016, equations 17 and 18.
    """
    (mean, log_scale), (other_mean, other_log_scale) = one, other
    weight = tf.sigmoid(2.0 * (log_scale - other_log_scale))  # of the other: its share of the precision
    gain = tf.nn.softplus(2.0 * (log_scale - other_log_scale))
    return mean + weight * (other_mean - mean), log_scale - 0.5 * gain


@gin.register
class TopDownLevel(TopDownBlock):
    """The densities of one map of latents z [h, w, c] within a decoder's features h.

        p(z | h) = N(μ(h), σ²(h)),   h ← h + g(h, z)

    with a residual branch g. The posterior merges the encoder's map of the same side with the top-down path:

    - "precision": the product of p(z | h) and a normal whose moments the encoder gives;
    - "sum": means and log σ are sums of what a convolution of h and one of the encoder's map return.

    A flow follows the merged normal, over the flattened latents. Its context is a map of the latents' shape, from the
    encoder and, for "sum", from h, as in the IAF paper. That paper masks 3×3 convolutions; `IAF` has a dense masked
    network, which sees all latents before one, costs with the square of their number, and so suits small maps.

    Means and log σ are 0 at the start. For "sum" the posterior then is the prior; for "precision" it has half of the
    prior's variance, a KL that is paid before the level is of any use: without `VAE.warm_up` levels are switched off
    in the first steps and stay unused.

    Args:
        shape: (H, W, C) of h.
        channels: c.
        ordinal: how many levels lie above, which sets the direction that `IAF` starts with.
        merge: "sum" (Kingma et al. 2016), or "precision" (Sønderby et al. 2016), which wants a warm-up of the KL term.
        flow: class of the posterior's flow, called without arguments, such as `IAF`; None for normals.

    Raises:
        UsageError: an unknown merge, or an object where a class is wanted.

    Reference: Sønderby et al. 2016 ("precision"); Kingma et al. 2016, section 5.1 and figure 4 ("sum", flow).
    """

    def __init__(self, shape, channels: int, ordinal: int, merge: str = "sum", flow=None):
        super().__init__(shape, channels)
        check_choice(f"{type(self).__name__}.merge", merge, MERGES)
        check_class(f"{type(self).__name__}.flow", flow, optional=True)
        self._make_flow, self._merge, self._ordinal = flow, merge, ordinal
        self.flow = None

    def build_posterior(self, map_shape) -> None:
        """Makes the posterior's variables, for an encoder's maps of this shape."""
        self.add_posterior(map_shape, 2 if self._make_flow is None else 3, sees_features=self._merge == "sum")
        if self._make_flow is not None:
            self.flow = self._make_flow()
            if not isinstance(self.flow, FlowLayer):
                raise UsageError(f"flow={self._make_flow!r} makes no flow; give a class such as IAF")
            self.flow.build((self.size,), self.size, self._ordinal)

    @property
    def posterior_variables(self) -> list:
        """The trainable variables that p(z | h) and the features have no part in."""
        parts = (self.bottom_up, self.top_down, self.flow)
        return [variable for part in parts if part is not None for variable in part.trainable_variables]

    def call(self, features, noise=None, latents=None, bottom_up=None, temperature=1.0):
        """See `TopDownDecoder.call`. Returns h and a `LevelDraw`, without the dimension of levels."""
        mean, log_scale = self.parameters(self.prior, features)
        moments = mean, bounded_log_scale(log_scale)
        prior = level_normal(moments, temperature)
        log_posterior = kl = None
        if bottom_up is not None:
            latents, log_posterior, kl = self._inferred(features, moments, bottom_up, prior, noise, latents)
        elif latents is None:
            latents = level_sample(prior, noise)
        return self.with_latents(features, latents), LevelDraw(latents, prior.log_prob(latents), log_posterior, kl)

    def posterior(self, features, moments, bottom_up) -> tuple[tfd.Distribution, tf.Tensor | None]:
        """The merged normal over flattened latents, and the context of the flow behind it."""
        parts = self.parameters(self.bottom_up, bottom_up)
        if self._merge == "sum":
            parts = [one + other for one, other in zip(self.parameters(self.top_down, features), parts)]
        merged = parts[0], bounded_log_scale(parts[1])
        if self._merge == "precision":
            merged = precision_weighted(moments, merged)
        return level_normal(merged), None if self.flow is None else parts[2]

    def _inferred(self, features, moments, bottom_up, prior, noise, latents):
        """Latents, those given or those made of noise; log q; KL(q ‖ p)."""
        normal, context = self.posterior(features, moments, bottom_up)
        if self.flow is None:
            latents = level_sample(normal, noise) if latents is None else latents
            return latents, normal.log_prob(latents), tfd.kl_divergence(normal, prior)
        latents, log_posterior = self._through_flow(normal, context, noise, latents)
        return latents, log_posterior, log_posterior - prior.log_prob(latents)

    def _through_flow(self, normal, context, noise, latents):
        """Latents, those given or those that the flow makes of the normal's; and log q."""
        bijector = self.flow.bijector(context)
        if latents is None:
            start = level_sample(normal, noise)
            latents, log_det = bijector.forward_and_log_det(start)
            log_posterior = normal.log_prob(start) - log_det
        else:
            start, log_det = bijector.inverse_and_log_det(latents)
            log_posterior = normal.log_prob(start) + log_det
        return latents, log_posterior


def level_normal(moments, temperature=1.0) -> tfd.Distribution:
    """N(μ, T² diag σ²) from μ and log σ."""
    mean, log_scale = moments
    return tfd.Independent(tfd.Normal(mean, temperature * tf.exp(log_scale)), 1)


def level_sample(normal: tfd.Distribution, noise) -> tf.Tensor:
    """A draw of a normal, of standard normal noise."""
    return normal.mean() + normal.stddev() * tf.cast(noise, tf.float32)
