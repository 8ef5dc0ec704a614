"""The uniform prior over latents."""

import numpy as np
import pytest

from tests.models import toys
from tfade.distributions.standard import StandardUniform
from tfade.errors import UsageError
from tfade.models.aae import AAE


def test_its_density_and_samples():
    layer = StandardUniform()
    layer.build((3,))
    for temperature in (1.0, 0.5):
        uniform = layer.distribution(temperature=temperature)
        inside, outside = np.full(3, 0.9 * temperature, np.float32), np.full(3, 1.1 * temperature, np.float32)
        assert float(uniform.log_prob(inside)) == pytest.approx(-3 * np.log(2 * temperature), rel=1e-5)
        assert float(uniform.log_prob(outside)) == -np.inf
        draws = np.asarray(uniform.sample(2000, seed=(1, 2)))
        assert np.abs(draws).max() <= temperature
        np.testing.assert_allclose(draws.std(0), temperature / 3**0.5, rtol=0.05)
    np.testing.assert_array_equal(layer.distribution(temperature=0.0).sample(2, seed=(1, 2)), np.zeros((2, 3)))
    with pytest.raises(UsageError, match="StandardUniform cannot be a posterior"):
        layer.from_noise(np.zeros((1, 3), np.float32))


def test_a_model_samples_from_it():
    model = AAE((16, 16, 1), 4, encoder=toys.ENCODER, decoder=toys.DECODER, prior=StandardUniform)
    assert np.abs(model.prior().sample(100, seed=(1, 2))).max() <= 1
    assert model.sample(2, seed=1).shape == (2, 16, 16, 1)
