"""PixelVAE: decoding draws, the bound by one pass, and what cannot go with pixels that are drawn."""

import functools

import keras
import numpy as np
import pytest

from tests.helpers import assert_every_variable_gets_a_gradient
from tests.models.cases import IMAGE_VAE, MASKED
from tests.models.properties import source
from tfade import slices
from tfade.distributions.autoregressive_pixels import AutoregressivePixels
from tfade.distributions.logistic_mixture import LogisticMixture
from tfade.distributions.pixels import Bernoulli, IsotropicNormal
from tfade.errors import UsageError
from tfade.models.ade import ADE
from tfade.models.pixel_cnn import PixelCNN

PIXELS = functools.partial(AutoregressivePixels, network=MASKED, features=2)


@pytest.fixture
def images():
    return source("images").fetch(np.arange(4))


def model_of(conditionals=Bernoulli):
    keras.utils.set_random_seed(0)
    model = IMAGE_VAE(source("images").spec, pixels=functools.partial(PIXELS, conditionals))
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.2 * generator.normal(size=variable.shape))
    bias = model.networks["pixels"].network.head[1]
    bias.assign(np.ones(bias.shape))  # no rectifier of the few is off throughout
    return model


def test_equal_codes_decode_to_equal_images_and_samples_follow_their_seed(images):
    model = model_of()
    assert model.decode_is_random
    z = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    decoded = model.decode(z).numpy()
    assert set(np.unique(decoded)) == {0.0, 1.0}
    np.testing.assert_array_equal(model.decode(z[[2, 0]]), decoded[[2, 0]])
    np.testing.assert_array_equal(model.decode(z + 1e-6), decoded)
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(model.codes(images)))
    first = model.sample(4, seed=1).numpy()
    np.testing.assert_array_equal(model.sample(4, seed=1), first)
    assert np.any(model.sample(4, seed=2) != first)
    # A code that stands still: pixels are drawn all the same.
    cold = model.sample(4, temperature=0.0, seed=1).numpy()
    assert all(np.any(image != cold[0]) for image in cold[1:])


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_a_temperature_of_pixels_that_is_none(temperature):
    with pytest.raises(UsageError, match=r"temperature=.* must be a finite number ≥ 0"):
        PixelCNN((4, 4, 1), Bernoulli, MASKED).sample(1, temperature)


@pytest.mark.every(2)
@pytest.mark.parametrize("conditionals", [Bernoulli, functools.partial(LogisticMixture, 2)])
def test_the_bound_reaches_every_variable(conditionals, images, eager):
    model = model_of(conditionals)
    model.compile(lambda name: keras.optimizers.Adam(1e-3))
    assert_every_variable_gets_a_gradient(model, images)
    assert np.isfinite(model.log_prob(images, 3)).all()
    z = model.codes(images)
    observed = model.to_observation(images)[0]
    np.testing.assert_allclose(model.log_likelihood(images, z), model.observation(z).log_prob(observed), rtol=1e-5)


def test_what_cannot_go_with_drawn_pixels_is_refused():
    spec = source("images").spec
    with pytest.raises(UsageError, match="pixels=AutoregressivePixels draws images pixel by pixel"):
        ADE(spec, functools.partial(IMAGE_VAE, pixels=PIXELS))
    with pytest.raises(UsageError, match=r"PixelCNN was given data of shape \(3,\)"):
        PixelCNN((3,))
    with pytest.raises(UsageError, match="conditionals=IsotropicNormal cannot be"):
        PixelCNN(spec, IsotropicNormal)


def test_few_images_go_through_a_pixel_cnn_at_a_time(images, monkeypatch):
    """The others do not matter to an image's likelihood, so it is the same."""
    model = PixelCNN(source("images").spec, network=MASKED)
    whole = model.log_prob(images)
    monkeypatch.setattr(slices, "OUTPUTS_AT_ONCE", 2 * model.pixels.activations)
    np.testing.assert_allclose(model.log_prob(images), whole, rtol=1e-5)
