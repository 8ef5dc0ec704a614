"""The parts that AV-ADE's step is compared with really do their work."""

import math

import numpy as np

from launch import ade_benchmark
from tests.models.test_ade import model_of


def test_a_step_is_a_training_step():
    step, model = ade_benchmark.step_of("vae", ("DCGANEncoder.width = 2", "DCGANGenerator.width = 2", "batch_size = 4"))
    before = [variable.numpy() for variable in model.decoder.trainable_variables]
    assert math.isfinite(step())
    assert int(model.step.numpy()) == 1
    assert any(np.any(old != new.numpy()) for old, new in zip(before, model.decoder.trainable_variables))


def test_the_flow_is_passed_both_ways():
    assert math.isfinite(ade_benchmark.flow_passes(model_of())())
