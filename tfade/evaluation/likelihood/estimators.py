"""Shared by the metrics that estimate a likelihood from some of the test data."""

import numpy as np
import tensorflow as tf

from tfade.contract import Contract
from tfade.evaluation.likelihood.nll import bits_per_dim
from tfade.evaluation.result import Result
from tfade.evaluation.subject import Subject


def on_gpu() -> bool:
    """Whether TensorFlow has a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def estimated_model(subject: Subject) -> Contract:
    """The model; where it has neither a likelihood nor p(x | z), and a bound is to be fitted around its decoder, the
    model with that bound."""
    model = subject.model
    wanted = model.likelihood is None and not model.answers("observation") and subject.fit_bound is not None
    return subject.likelihood_model if wanted else model


def observation_protocol(model: Contract, subject: Subject) -> dict:
    """The protocol's keys about p(x | z), where it is not assumed."""
    if model is not subject.model:
        return {"observation": "N(G(z), σ² I), σ fitted with an inference network", **model.fit_protocol}
    return {"observation": "the model's p(x | z)"} if model.answers("observation") else {}


def with_bits(nats: Result, model: Contract, subject: Subject) -> list[Result]:
    """The nats, and before them bits per dimension where they are of images of 256 levels."""
    if not subject.real.spec.is_image or model.pixel_levels == 2:
        return [nats]
    dimensions = subject.real.spec.dimensions
    bits = bits_per_dim(log_prob=np.array([nats.value]), dimensions=dimensions, continuous=model.pixel_levels is None)
    std = None if nats.std is None else nats.std / (dimensions * np.log(2))
    protocol = {**bits.protocol, **nats.protocol, "unit": "bits"}
    return [Result(f"{nats.name}_bits_per_dim", bits.value, std, protocol, nats.diagnostics), nats]
