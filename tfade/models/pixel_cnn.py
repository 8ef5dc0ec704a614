"""A PixelCNN as a model: exact likelihood, samples pixel by pixel, no latents."""

import gin
import tensorflow as tf

from tfade import numerics
from tfade.distributions.autoregressive_pixels import PixelByPixel
from tfade.distributions.pixels import Categorical
from tfade.distributions.scales import check_temperature
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.models.players import Player, Weighted
from tfade.networks.pixel_cnn import GatedPixelCNN
from tfade.seeds import Seeds, as_seed, per_example_noise
from tfade.slices import of_few_examples
from tfade.spec import Batch


@gin.register
class PixelCNN(GenerativeModel):
    """A pmf of images by the chain rule over pixels and channels, trained by maximum likelihood.

        log P(x) = Σ_ij log P(x_ij | x before ij)

    Its one player, `pixels`, has one term, `nll`: reported in nats, minimised in nats per dimension. With `Bernoulli`
    it is a pmf of images that are binarised afresh at every use; in `log_prob` the noise is a function of the image.

    Samples at temperature T draw every pixel at T; see `PixelByPixel`.

    Args:
        spec: what the data look like, or the bare shape of an image, (H, W, C).
        conditionals: class of the distribution of a pixel: `Categorical`, `LogisticMixture` or `Bernoulli`.
        network: class of the masked network, see `PixelByPixel`.

    Raises:
        UsageError: data that are not images, or what `PixelByPixel` rejects.

    Reference: van den Oord et al. 2016; Salimans et al. 2017 (the mixture).
    """

    likelihood = "exact"

    def __init__(self, spec, conditionals=Categorical, network=GatedPixelCNN):
        super().__init__(spec)
        if not self.spec.is_image:
            raise UsageError(
                f"PixelCNN was given data of shape {self.image_shape}; it is defined on images. Use DensityModel with "
                "distribution = @AutoregressiveMADE for vectors"
            )

        def make() -> PixelByPixel:
            pixels = PixelByPixel(conditionals, network)
            pixels.build(self.image_shape)
            return pixels

        self.pixels = self.add_network("pixels", make)
        self.pixel_levels = self.pixels.pixel_levels

    def players(self):
        return (Player("pixels", self.pixels),)

    def losses(self, batch: Batch, seeds: Seeds):
        nll = -self._log_prob(self.pixels, self.unit(batch.images), self.uniform_noise(seeds))
        return {"pixels": {"nll": Weighted(1.0 / self.spec.dimensions, nll)}}

    def validate(self, batch: Batch):
        log_prob = self.log_prob(batch.images)
        terms = {"nll": -log_prob}
        if self.pixel_levels != 2:
            terms["bits_per_dim"] = numerics.bits_per_dim(log_prob, self.spec.dimensions, continuous=False)
        return terms

    def log_prob(self, x, num_samples=1, labels=None):
        """Nats [batch] of the levels of images, or of binarised images; exact, so `num_samples` has no effect."""
        self.checked_labels(labels)
        pixels = self.network("pixels")
        return of_few_examples(
            lambda unit: self._log_prob(pixels, unit, per_example_noise),
            (self.unit(x),),
            pixels.activations,
            tf.float32,
        )

    def sample(self, n, temperature=1.0, seed=None, labels=None):
        self.checked_labels(labels)
        check_temperature(temperature)
        pixels = self.network("pixels")
        noise = tf.random.stateless_uniform((n, *pixels.noise_shape), as_seed(seed))
        report = "pixels" if tf.executing_eagerly() else ""
        images = pixels.image_from_uniform(noise, temperature=temperature, report=report)
        return pixels.as_image(images)

    @staticmethod
    def _log_prob(pixels: PixelByPixel, unit, noise) -> tf.Tensor:
        target = pixels.target(unit, noise(unit))
        return pixels.given_image(target).log_prob(target)
