"""The small AVB models of the tests, and the toy of four images whose likelihood is known."""

import functools

import numpy as np
import tensorflow as tf

from tests.models import toys
from tfade.distributions.implicit import ImplicitPosterior
from tfade.networks.joint import JointDiscriminator
from tfade.networks.mlp import MLPDecoder, MLPEncoder

part = functools.partial
SMALL = part(ImplicitPosterior, noise_size=4, width=8, depth=1, moments=8)
VECTORS = {
    **{"encoder": part(MLPEncoder, width=8, depth=1), "decoder": part(MLPDecoder, width=8, depth=1)},
    **{"context_size": 4, "joint_discriminator": part(JointDiscriminator, width=8, depth=1)},
}
IMAGES = {**VECTORS, "encoder": toys.ENCODER, "decoder": toys.DECODER, "posterior": SMALL}

ONE_HOT = (255 * np.eye(4)).astype(np.uint8).reshape(4, 2, 2, 1)


def mean_log_likelihood(model) -> float:
    """log p(x) of the four images by quadrature over codes, the mean over them."""
    axis = np.linspace(-6, 6, 161, dtype=np.float32)
    z = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    log_prior, observation = model.prior().log_prob(z) + 2 * np.log(axis[1] - axis[0]), model.observation(z)
    return float(np.mean([tf.reduce_logsumexp(log_prior + observation.log_prob(x / np.float32(255))) for x in ONE_HOT]))
