"""What the metrics share that estimate a likelihood from some of the test data."""

import numpy as np
import tensorflow as tf

from tfade.evaluation.likelihood.latent_model import has_conditional
from tfade.evaluation.likelihood.nll import bits_per_dim
from tfade.evaluation.result import Result
from tfade.evaluation.subject import Subject


def on_gpu() -> bool:
    """Whether TensorFlow has a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def estimated_model(subject: Subject):
    """The model; where it has no likelihood and one is to be fitted around its decoder, the model with that."""
    wanted = getattr(subject.model, "likelihood", None) is None and subject.fit_bound is not None
    return subject.likelihood_model if wanted else subject.model


def observation_protocol(model, subject: Subject) -> dict:
    """What p(x | z) is, where it is not assumed."""
    if model is not subject.model:
        fitted = getattr(model, "fit_protocol", {})
        return {"observation": "N(G(z), σ² I), σ fitted with an inference network", **fitted}
    return {"observation": "the model's p(x | z)"} if has_conditional(model) else {}


def with_bits(nats: Result, model, subject: Subject) -> list[Result]:
    """The nats, and before them bits per dimension where they are of images of 256 levels."""
    levels = getattr(model, "levels", None)
    if not subject.real.spec.is_image or levels == 2:
        return [nats]
    dimensions = int(np.prod(subject.real.spec.shape))
    bits = bits_per_dim(log_prob=np.array([nats.value]), dimensions=dimensions, continuous=levels is None)
    std = None if nats.std is None else nats.std / (dimensions * np.log(2))
    protocol = {**bits.protocol, **nats.protocol}
    return [Result(f"{nats.name}_bits_per_dim", bits.value, std, protocol, nats.diagnostics), nats]
