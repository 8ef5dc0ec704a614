"""A classifier and a density from one invertible network: log p(y | x) + λ log p(x)."""

import gin
import keras
import tensorflow as tf

from tfade import numerics
from tfade.contract import as_spec
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError, check_finite
from tfade.flows.noise import FlowNoise, PerExampleNoise, TrainingNoise
from tfade.models.flow import FlowModel
from tfade.models.players import Player, Weighted
from tfade.seeds import Seeds, example_keys, per_example_noise
from tfade.spec import Batch


@gin.register
class HybridClassifier(FlowModel):
    """A flow f whose latents are the features of a linear classifier, trained on labels and on density at once.

        min  -E[log p(c | x)] - λ E[log p(x)],   p(c | x) = softmax(W f(x) + b)

    With λ = 1 it is the likelihood of pairs, log p(x, c) = log p(x) + log p(c | x); a smaller λ favours the classes,
    and with λ = 1/D the label weighs as much as the mean dimension of x. λ = 0 is a classifier without dimension
    reduction; its density is not trained. Both terms are in nats: published losses in bits are the same up to log 2.
    Everything that a `FlowModel` answers it answers too, of p(x); `classify` gives log p(c | x).

    Args:
        spec: what the data look like; they need classes.
        flow, prior: see `FlowModel`.
        density_weight: λ ≥ 0; None for 1/D.

    Raises:
        UsageError: data without classes, or a negative weight.

    Reference: Nalisnick et al. 2019, "Hybrid Models with Deep and Invertible Features", equation 5; Chen et al. 2019,
        section 5.3 and table 5.
    """

    fields = ("images", "labels")

    def __init__(self, spec, flow=None, prior=StandardNormal, density_weight: float | None = None):
        spec = as_spec(spec)
        if not spec.num_classes:
            raise UsageError(
                f"HybridClassifier was given data={spec.name!r}, which has no classes; give labelled data, or use "
                "FlowModel for a density alone"
            )
        if density_weight is not None:
            check_finite("HybridClassifier.density_weight", density_weight)
        super().__init__(spec, flow, prior)
        self.density_weight = 1.0 / self.latent_size if density_weight is None else density_weight

        def make_head() -> keras.layers.Layer:
            head = keras.layers.Dense(self.spec.num_classes, dtype="float32")
            head.build((None, self.latent_size))
            return head

        self.head = self.add_network("head", make_head)

    def players(self):
        return (Player("flow", self.flow, self.networks["prior"], self.head),)

    def losses(self, batch: Batch, seeds: Seeds):
        y = self.unit(batch.images, self.uniform_noise(seeds))
        if not self.density_weight:
            log_classes = _log_softmax(self.head, self.flow.bijector().inverse(y))
            return {"flow": {"cross_entropy": -_chosen(log_classes, batch.labels)}}
        log_prob, log_classes = self._answers(y, TrainingNoise(seeds), self.networks.__getitem__)
        nll = Weighted(self.density_weight, -log_prob)
        return {"flow": {"cross_entropy": -_chosen(log_classes, batch.labels), "nll": nll}}

    def validate(self, batch: Batch):
        log_classes = self.classify(batch.images)
        right = tf.equal(tf.argmax(log_classes, -1, tf.int32), tf.cast(batch.labels, tf.int32))
        own = {"cross_entropy": -_chosen(log_classes, batch.labels), "accuracy": tf.cast(right, tf.float32)}
        return own | super().validate(batch)

    def classify(self, x):
        return _log_softmax(self.network("head"), self.codes(x))

    def log_joint(self, x, labels) -> tf.Tensor:
        """log p(x, c) = log p(x) + log p(c | x) in nats [batch], both of the same dequantised image.

        Args:
            x: examples.
            labels: their classes, integers [batch] in [0, num_classes).

        Raises:
            UsageError: labels that are none of these.
        """
        y = self.unit(x, per_example_noise)
        labels = numerics.checked_labels(labels, self.spec.num_classes, y.shape[0], type(self).__name__)
        log_prob, log_classes = self._answers(y, PerExampleNoise(example_keys(y)), self.network)
        return log_prob + _chosen(log_classes, labels)

    def _answers(self, y, noise: FlowNoise, network) -> tuple[tf.Tensor, tf.Tensor]:
        """log p(y) [batch] and log p(c | y) [batch, classes], from one pass through the flow."""
        z, log_det = network("flow").bijector(noise=noise).inverse_and_log_det(y)
        return network("prior").distribution().log_prob(z) + log_det, _log_softmax(network("head"), z)


def _log_softmax(head, z) -> tf.Tensor:
    return tf.nn.log_softmax(head(z))


def _chosen(log_classes, labels) -> tf.Tensor:
    """The entry of each row that its label names."""
    return tf.gather(log_classes, tf.cast(labels, tf.int32), axis=1, batch_dims=1)
