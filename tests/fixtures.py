"""Two logical CPU devices, small real images, and small networks for every test."""

import contextlib
import functools
import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores, and threads that wait for work spin
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from tfade import kernels

kernels.prefer_onednn()  # before TensorFlow is imported, as a user has it

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.common import global_state

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# Whoever seeds TensorFlow's own generators empties its cache of kernels, and a quarter of the suite's time went into filling
# it again. No draw comes from these generators (`test_architecture`).
tf.random.set_seed = lambda seed: None

from tests.helpers import eagerly, traced_once
from tfade.data.digits import digits
from tfade.data.stacked import StackedSource
from tfade.models.optimization import Optimization
from tfade.models.vgh import VGH, VGHPlusPlus
from tfade.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator

TINY = {
    "latent_size": 6,
    "encoder": functools.partial(DCGANEncoder, width=4),
    "generator": functools.partial(DCGANGenerator, width=4),
    "discriminator": functools.partial(DCGANDiscriminator, width=4),
    "code_discriminator": functools.partial(CodeDiscriminator, width=16),
}


# A twentieth of the suite's time went into collections that found little among the millions of objects of TensorFlow.
gc.freeze()
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def seeded():
    """The same weights, draws and names of layers in every test, whichever tests ran before it."""
    global_state.set_global_attribute("object_name_uids", None)
    keras.utils.set_random_seed(0)


@pytest.fixture
def eager():
    """The test runs its steps as they are written."""
    with eagerly():
        yield


@pytest.fixture
def source():
    """120 stacked digits."""
    return StackedSource("color_digits", digits("train"), 120)


@pytest.fixture
def images(source):
    """Eight of them, uint8 [8, 16, 16, 3]."""
    return source.fetch(np.arange(8))


@pytest.fixture
def make_model():
    """`make_model(kind=..., compiled=True, **compile_arguments)` builds a tiny, seeded model."""

    def make(kind=VGHPlusPlus, compiled=True, model_arguments=None, optimizer=None, **compile_arguments):
        keras.utils.set_random_seed(7)
        model = kind((16, 16, 3), **{**TINY, **(model_arguments or {})})
        if compiled:
            others = {name: compile_arguments.pop(name) for name in ("seed", "stages") if name in compile_arguments}
            optimizer = optimizer or (lambda name, of_stage=None: keras.optimizers.Adam(1e-3, 0.5, 0.9))
            known = kind, str(compile_arguments), str(others.get("stages"))
            with contextlib.nullcontext() if model_arguments else traced_once(known):  # arguments have no stable names
                model.compile(optimizer, Optimization(**compile_arguments), **others)
        return model

    return make


@pytest.fixture(params=[VGH, VGHPlusPlus])
def kind(request):
    """Every model class."""
    return request.param
