"""The loss of a residual flow as a training step has it: fresh probes, two exact terms, one roulette for the batch."""

import keras
import numpy as np
import tensorflow as tf

from tests.flows.residual_cases import events, part, steep
from tfade.flows.residual import ResidualBlock
from tfade.models.flow import FlowModel
from tfade.networks.lipschitz import LipschitzMLP
from tfade.seeds import Seeds
from tfade.spec import Batch

STEPS, ROWS = 1_500, 8


def model_of(**more) -> FlowModel:
    keras.utils.set_random_seed(1)
    model = FlowModel((3,), part(ResidualBlock, part(LipschitzMLP, width=3, depth=1), **more))
    steep(model.flow.parts[0])
    return model


def loss_and_gradients(model, point, seeds) -> list[tf.Tensor]:
    """The mean loss of a batch of equal examples, and its gradients with respect to the example and the weights."""
    weights = [variable.value for variable in model.flow.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(point)
        loss = tf.reduce_mean(model.losses(Batch(tf.tile(point, (ROWS, 1))), seeds)["flow"]["nll"])
    gradients = tape.gradient(loss, [point, *weights], unconnected_gradients="zero")
    return [loss, *gradients]


def found_in_training(model, point, steps: int) -> list[np.ndarray]:
    """The same of many steps, [steps, ...] each."""

    @tf.function(autograph=False)
    def of_steps(point):
        signature = [
            tf.TensorSpec(value.shape) for value in (0.0 * point[0, 0], point, *model.flow.trainable_variables)
        ]
        return tf.map_fn(
            lambda step: loss_and_gradients(model, point, Seeds(3, step)),
            tf.range(steps),
            fn_output_signature=signature,
            parallel_iterations=1,
        )

    return [value.numpy() for value in of_steps(point)]


def errors(found, expected) -> list[np.ndarray]:
    """How many standard errors the means over steps are from what is expected; not below rounding."""
    deviations = (values.std(0, ddof=1) / np.sqrt(len(values)) for values in found)
    return [np.abs(v.mean(0) - e) / (d + 1e-5) for v, e, d in zip(found, expected, deviations)]


def test_the_loss_of_a_training_step_and_its_gradient_are_unbiased():
    """Over many steps the means are those of the exact log-determinants, which those of two terms alone are not."""
    estimated, exact = model_of(), model_of(log_det="exact")
    assert (estimated.likelihood, exact.likelihood) == ("unbiased", "exact")
    point = events(3, rows=1)
    expected = [value.numpy() for value in loss_and_gradients(exact, point, Seeds(3, 0))]
    assert max(np.max(each) for each in errors(found_in_training(estimated, point, STEPS), expected)) < 4.5
    estimated.flow.parts[0]._tail = np.ones(1)
    of_loss, of_point, *of_weights = errors(found_in_training(estimated, point, STEPS // 3), expected)
    assert min(np.max(each) for each in (of_loss, of_point, *of_weights[:-1])) > 4  # the last bias has no part in it
