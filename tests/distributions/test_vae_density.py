"""A VAE as a density of codes: its bound against the closed form, and its noise in training."""

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

from tfade.distributions.vae_density import VAEDensity
from tfade.seeds import Seeds


def test_the_density_of_a_vae_bounds_what_it_is():
    """Linear networks, so that p(x) is a normal in closed form: below it, and near it for a posterior that fits."""
    layer = VAEDensity(8, 1)
    layer.build((2,))
    for network in (layer.encoder, layer.decoder):
        network.set_weights([0 * weight for weight in network.get_weights()])
    kernel = layer.decoder.last.kernel
    kernel.assign(np.concatenate([np.diag([0.5, 2.0]), 0.0 * kernel.numpy()[2:]]))
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    exact = stats.multivariate_normal(np.zeros(2), np.diag([1.25, 5.0])).logpdf(x)
    found = layer.distribution().log_prob(x)
    assert np.mean(found) < np.mean(exact) + 0.05  # by chance
    assert np.mean(exact) - np.mean(found) < 1.0
    bound = -layer.negative_log_likelihood(x, Seeds(0, 0))
    assert np.mean(bound) < np.mean(found)
    drawn = layer.distribution().sample(20000, seed=(1, 2)).numpy()
    np.testing.assert_allclose(np.cov(drawn.T), np.diag([1.25, 5.0]), atol=0.15)
    half = layer.distribution(temperature=0.5).log_prob(0.5 * x)  # noise of half the size: the same density, scaled
    np.testing.assert_allclose(np.mean(half), np.mean(found) + 2 * np.log(2.0), atol=0.3)
    cold = layer.distribution(temperature=0.0).sample(3, seed=(1, 2))
    np.testing.assert_allclose(cold, np.zeros((3, 2)), atol=1e-6)


def test_a_posterior_cannot_be_fitted_to_the_noise_of_its_bound():
    """Trained through `log_prob`, as a model's prior is; noise that is the same for all ends tens of nats too high."""
    layer = VAEDensity(16, 1)
    layer.build((4,))
    optimizer, seeds = keras.optimizers.Adam(3e-2), [(step, 1) for step in range(150)]
    optimizer.build(layer.trainable_variables)

    @tf.function(autograph=False)
    def step(seed):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer.distribution().log_prob(tf.random.stateless_normal((128, 4), seed)))
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)

    for seed in seeds:
        step(tf.constant(seed))
    held_out = tf.random.stateless_normal((4000, 4), (0, 2))
    entropy = 2 * np.log(2 * np.pi * np.e)
    assert entropy - 0.15 < -float(tf.reduce_mean(layer.distribution().log_prob(held_out))) < entropy + 1.5
