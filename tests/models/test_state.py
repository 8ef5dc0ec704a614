"""The names under which a checkpoint holds a model's variables, and that those beside its networks are among them."""

import functools

import keras
import numpy as np
import pytest

from tests.models import toys
from tests.models.cases import CRITIC, IMAGE_VAE
from tests.models.toys import Embedding
from tfade.distributions.standard import StandardNormal
from tfade.models.ade import ADE
from tfade.models.latent import LatentVariableModel
from tfade.models.latent_density import LatentDensity
from tfade.models.vae import VAE

SHAPE = (16, 16, 3)
SAME = functools.partial(keras.layers.Dense, 2)


def names_of(*layers):
    model = Embedding(SHAPE)
    model.add_network("pair", lambda: keras.Sequential([keras.Input((2,)), *(SAME(name=name) for name in layers)]))
    return set(model.state())


def test_layers_of_one_shape_cannot_change_places():
    assert names_of("first", "second") == names_of("first", "second")
    assert names_of("first", "second") != names_of("second", "first")
    assert names_of(None, None) == names_of(None, None)  # whatever Keras counted in between


class Owner(VAE):
    """A VAE with variables of its own, which counts the steps."""

    def __init__(self, spec, **arguments):
        super().__init__(spec, **arguments)
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)
        self.another = self.add_weight(name="count", shape=(), initializer="ones", trainable=False)
        self.unnamed = keras.Variable(2.0, trainable=False)

    def after_step(self, reported):
        self.count.assign_add(1.0)


OWNER = functools.partial(Owner, **IMAGE_VAE.keywords)


def values_of(model):
    return {name: np.asarray(value) for name, value in model.state().items() if name.startswith("model/")}


def test_every_variable_of_the_model_itself_is_saved_under_one_name_in_any_process():
    first, second = values_of(OWNER(SHAPE)), values_of(OWNER(SHAPE))
    assert sorted(first.values()) == [0, 1, 2]
    assert first.keys() == second.keys()


@pytest.mark.parametrize(
    "wrapping",
    [
        functools.partial(ADE, autoencoder=OWNER, discriminator=CRITIC, penalty=None),
        functools.partial(LatentDensity, autoencoder=OWNER, distribution=StandardNormal),
    ],
    ids=["ADE", "LatentDensity"],
)
def test_those_of_a_wrapped_model_too(wrapping):
    model = wrapping(SHAPE)
    assert sorted(values_of(model).values()) == [0, 1, 2]
    assert model.state()["step"] is model.step is model.autoencoder.step
    model.autoencoder.count.assign(7.0)
    assert 7.0 in values_of(model).values()


def test_what_a_wrapped_model_does_after_a_step_is_done():
    model = ADE(SHAPE, OWNER, CRITIC, penalty=None)
    model.compile(lambda name, of_stage=None: keras.optimizers.SGD(0.0))
    model.train_step(np.zeros((2, *SHAPE), np.uint8))
    assert float(model.autoencoder.count.value) == 1


def test_without_a_decoder_nothing_is_decoded():
    model = LatentVariableModel(SHAPE, 3)
    assert not model.answers("decode")
    assert not model.answers("sample")
    with pytest.raises(NotImplementedError, match="cannot decode: it has no decoder"):
        model.decode(np.zeros((2, 3)))
    assert toys.TwoStages(SHAPE).answers("sample")
