"""GLANN (Hoshen, Li and Malik 2019): one free code for every image, and then a mapping of noise to the codes."""

import gin
import tensorflow as tf

from tfade import numerics
from tfade.distributions.pushforward import ImplicitDensity
from tfade.errors import UsageError, check_finite, check_positive, check_whole
from tfade.models.latent import LatentVariableModel, deterministic
from tfade.models.perceptual import Perceptual
from tfade.models.players import Player, Weighted
from tfade.networks.code_table import CodeTable
from tfade.networks.infogan import InfoGANDecoder
from tfade.objectives.mmd import squared_distances
from tfade.objectives.reconstruction import absolute_error
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class GLANN(LatentVariableModel):
    """Generative latent optimisation (GLO), then implicit maximum likelihood (IMLE) over its codes.

        generator, codes  |x_i - G(z_i)| + λ_P perceptual distance,   z_i a free vector on the unit sphere
        prior             min_j ‖z_i - T(e_j)‖²,   e_1, …, e_m ~ N(0, I)

    Every image has a code of its own in place of an encoder, moved with G; T, which maps noise to codes, is fitted
    afterwards: each code draws the nearest of m outputs towards itself, so that no code is left out. Meant for two
    stages: `Stage.players = ('generator', 'codes')`, then `('prior',)`. Samples: G(T(e) / ‖T(e)‖).

    Codes are divided by their norm where they enter G, and the gradient is that of the quotient; the authors' code
    holds the norm constant and renormalises once an epoch. IMLE draws a fresh pool for each batch (Li and Malik 2018,
    algorithm 1), where their code matches all codes against twice as many draws once an epoch.

    A new image's code is found by gradient descent on its own loss with G fixed, from the best of some draws of the
    prior: `encode` costs `search_steps` passes.

    Args:
        spec: what the data look like, with their number of examples.
        latent_size: dimension of a code.
        generator: class of G, called as `generator(image_shape, latent_size)`.
        prior: class of T's distribution, an `ImplicitDensity`.
        pool: m ≥ 1, the same on every replica.
        pixel_weight: ≥ 0, of the mean absolute error of images in [-1, 1].
        perceptual, perceptual_weight: class of a `FeatureNetwork`, or None; its weight.
        search_steps, search_rate, search_starts: steps and rate of Adam in `encode`, and draws of the prior to start
            from.

    Raises:
        UsageError: a number out of range, data whose number of examples is not known, or another prior.

    Reference: Hoshen et al. 2019, equations 3 to 6; Bojanowski et al. 2018 (GLO); Li and Malik 2018 (IMLE).
    """

    decoder_name = "generator"
    fields = ("images", "index")

    def __init__(
        self,
        spec,
        latent_size: int = 64,
        generator=InfoGANDecoder,
        prior=ImplicitDensity,
        pool: int = 2048,
        pixel_weight: float = 1.0,
        perceptual=None,
        perceptual_weight: float = 1.0,
        search_steps: int = 100,
        search_rate: float = 0.05,
        search_starts: int = 32,
    ):
        for name, value in (("pool", pool), ("search_steps", search_steps), ("search_starts", search_starts)):
            check_whole(name, value)
        check_positive("search_rate", search_rate)
        check_finite("pixel_weight", pixel_weight)
        super().__init__(spec, latent_size, prior)
        if not isinstance(self.networks["prior"], ImplicitDensity):
            raise UsageError(f"GLANN.prior={prior!r} is not an ImplicitDensity, which is trained by its samples")
        if not self.spec.num_examples:
            raise UsageError(
                f"GLANN has a code for each example, and data={self.spec.name!r} does not state how many there are; "
                "make it from a Spec with num_examples"
            )
        self.generator = self.add_network("generator", generator, self.image_shape, latent_size)
        self.table = self.add_network("codes", lambda: CodeTable(self.spec.num_examples, latent_size))
        self.pool, self.pixel_weight = pool, pixel_weight
        self.search = search_steps, search_rate, search_starts
        self.perceptual = None if perceptual is None else Perceptual(self, perceptual, perceptual_weight)
        self.code_protocol = {
            "code_search_steps": search_steps,
            "code_search_rate": search_rate,
            "code_search_starts": search_starts,
        }

    def players(self):
        networks = {"generator": self.generator, "codes": self.table, "prior": self.networks["prior"]}
        return tuple(Player(name, network) for name, network in networks.items())

    def losses(self, batch: Batch, seeds: Seeds):
        codes, losses = on_sphere(self.table(batch.index)), {}
        if self.moves("generator") or self.moves("codes"):
            x = self.network_input(batch.images)
            terms = self._reconstruction(x, self.generator(codes, training=True))
            losses |= {"generator": terms, "codes": dict(terms)}
        if self.moves("prior"):
            noise = tf.random.stateless_normal((self.pool, self.networks["prior"].noise_size), seeds("pool"))
            drawn = self.networks["prior"].push(noise, training=True)
            losses["prior"] = {"matching": nearest_distance(tf.stop_gradient(codes), drawn)}
        return losses

    def _reconstruction(self, x, decoded) -> dict[str, Weighted]:
        """The terms of images in [-1, 1], or vectors, [batch] each."""
        terms = {"reconstruction": Weighted(self.pixel_weight, absolute_error(x, decoded))}
        if self.perceptual is not None:
            terms |= self.perceptual.terms(*map(numerics.unsigned, (x, decoded)))
        return terms

    def initialise(self, batch: Batch):
        if self.perceptual is not None and not int(tf.convert_to_tensor(self.step.value)):
            self.perceptual.load()

    # ---- Public contract ----

    def decode(self, z, labels=None):
        """Images of latents [batch, latent_size], which are brought to the unit sphere first."""
        self.checked_labels(labels)
        outputs = self.network("generator")(on_sphere(tf.cast(z, tf.float32)), training=False)
        return numerics.from_signed(outputs) if self.spec.is_image else outputs

    def encode(self, x, labels=None):
        """The codes that a search finds, as a deterministic distribution; see the class for its cost."""
        self.checked_labels(labels)
        x, network = self.network_input(x), self.network("generator")
        steps, rate, starts = self.search
        candidates = on_sphere(tf.cast(self.prior().sample(starts, seed=(0, 0)), tf.float32))
        images = network(candidates, training=False)
        errors = tf.stack([absolute_error(x, image[None]) for image in tf.unstack(images, starts)], -1)
        codes = tf.gather(candidates, tf.argmin(errors, -1))

        def step(count, codes, first, second):
            with tf.GradientTape() as tape:
                tape.watch(codes)
                terms = self._reconstruction(x, network(on_sphere(codes), training=False))
                loss = tf.add_n([weight * tf.reduce_sum(value) for weight, value in terms.values()])
            gradient = tape.gradient(loss, codes)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            age = tf.cast(count + 1, tf.float32)
            scaled = first / (1 - 0.9**age) / (tf.sqrt(second / (1 - 0.999**age)) + 1e-8)
            return count + 1, codes - rate * scaled, first, second

        zeros = tf.zeros_like(codes)
        _, codes, _, _ = tf.while_loop(lambda count, *_: count < steps, step, (0, codes, zeros, zeros))
        return deterministic(on_sphere(codes))

    @unanswered("it has neither a posterior nor a density of codes")
    def log_prob(self, x, num_samples=1, labels=None): ...


def on_sphere(codes) -> tf.Tensor:
    """z / ‖z‖ of codes [batch, latent_size]."""
    return tf.math.l2_normalize(codes, -1, epsilon=1e-12)


def nearest_distance(codes, drawn) -> tf.Tensor:
    """min_j ‖z_i - t_j‖² of codes [batch, D] and draws [m, D]: [batch], with a gradient to the nearest draw alone."""
    nearest = tf.argmin(squared_distances(codes, tf.stop_gradient(drawn)), -1)
    return tf.reduce_sum(tf.math.squared_difference(codes, tf.gather(drawn, nearest)), -1)
