"""Optimizers and learning-rate schedules for gin, with explicit arguments so that a misspelt one is found.

Weight decay is decoupled (Loshchilov and Hutter 2019): before every update each trainable variable of the player,
biases and gains of normalisation included, is multiplied by 1 - learning rate · weight_decay. For plain SGD that is the
L2 penalty ½ weight_decay ‖θ‖²; for adaptive optimizers it is not, as it is not divided by the gradients' scale.

`make_optimizer` is called once for each player inside a gin scope of the player's name, so that
`adam.learning_rate = 2e-4` holds for everybody and `discriminator/adam.learning_rate = 1e-4` for one.
"""

from collections.abc import Callable

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_class, check_finite, check_positive, check_whole

LearningRate = float | keras.optimizers.schedules.LearningRateSchedule


class Adam(keras.optimizers.Adam):
    """Keras' Adam to the last bit, with its step size computed once a step and not once for every variable.

    The step size is α = rate · √(1 - β₂ᵗ) / (1 - β₁ᵗ) (Kingma and Ba 2015, section 2). A gradient by rows (that of
    `tf.gather`) counts as the dense one that it stands for; Keras' squares each occurrence of a repeated row by itself.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        dtype = trainable_variables[0].dtype
        rate, step = (keras.ops.cast(value, dtype) for value in (learning_rate, self.iterations + 1))
        first, second = (keras.ops.power(keras.ops.cast(beta, dtype), step) for beta in (self.beta_1, self.beta_2))
        step_size = rate * keras.ops.sqrt(1 - second) / (1 - first)
        super()._backend_update_step(grads, trainable_variables, step_size)

    def update_step(self, gradient, variable, learning_rate):
        """Moves one variable; `learning_rate` is α."""
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        step_size, gradient = tf.cast(learning_rate, variable.dtype), tf.cast(gradient, variable.dtype)
        gradient = tf.convert_to_tensor(gradient)  # dense
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (tf.square(gradient) - v) * (1 - self.beta_2))
        self.assign_sub(variable, m * step_size / (tf.sqrt(v.value) + self.epsilon))


@gin.configurable
def adam(
    learning_rate: LearningRate = 2e-4,
    beta_1: float = 0.5,
    beta_2: float = 0.9,
    epsilon: float = 1e-8,
    weight_decay: float | None = None,
) -> keras.Optimizer:
    """Adam (Kingma and Ba 2015); the defaults are usual for adversaries (Rosca et al. 2018, appendix D)."""
    return _of_two_moments(Adam, learning_rate, beta_1, beta_2, epsilon, weight_decay)


@gin.configurable
def adamax(
    learning_rate: LearningRate = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float | None = None,
) -> keras.Optimizer:
    """Adamax (Kingma and Ba 2015, section 7.1)."""
    return _of_two_moments(keras.optimizers.Adamax, learning_rate, beta_1, beta_2, epsilon, weight_decay)


@gin.configurable
def rmsprop(
    learning_rate: LearningRate = 5e-5, rho: float = 0.9, epsilon: float = 1e-7, weight_decay: float | None = None
) -> keras.Optimizer:
    """RMSProp; the default rate is that of the WGAN (Arjovsky et al. 2017)."""
    decay = _checked_decay(weight_decay)
    _check_moments("rmsprop", rho=rho)
    _check_epsilon("rmsprop", epsilon)
    return keras.optimizers.RMSprop(_positive(learning_rate), rho, epsilon=epsilon, weight_decay=decay)


@gin.configurable
def sgd(
    learning_rate: LearningRate = 1e-2, momentum: float = 0.0, weight_decay: float | None = None
) -> keras.Optimizer:
    """Stochastic gradient descent with optional momentum."""
    _check_moments("sgd", momentum=momentum)
    return keras.optimizers.SGD(_positive(learning_rate), momentum, weight_decay=_checked_decay(weight_decay))


@gin.register
class LinearDecay(keras.optimizers.schedules.PolynomialDecay):
    """`initial` for `begin` steps, then in `steps` steps linearly to `final`, and `final` from then on."""

    def __init__(self, initial: float, steps: int, final: float = 0.0, begin: int = 0):
        check_positive("LinearDecay.initial", initial)
        check_whole("LinearDecay.steps", steps)
        check_finite("LinearDecay.final", final)
        self.begin = check_whole("LinearDecay.begin", begin, 0)
        super().__init__(initial, steps, final, power=1.0)

    def __call__(self, step):
        return super().__call__(keras.ops.maximum(step - self.begin, 0))

    def get_config(self):
        return {
            "initial": self.initial_learning_rate,
            "steps": self.decay_steps,
            "final": self.end_learning_rate,
            "begin": self.begin,
        }


@gin.register
class StepDecay(keras.optimizers.schedules.ExponentialDecay):
    """`initial`, multiplied by `factor` after every `every` steps."""

    def __init__(self, initial: float, every: int, factor: float = 0.5):
        check_positive("StepDecay.initial", initial)
        check_whole("StepDecay.every", every)
        check_positive("StepDecay.factor", factor)
        super().__init__(initial, every, factor, staircase=True)


@gin.register
class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """`initial`, halved `times` times, at equal distances over `steps` steps: after the middle for once.

        initial · 2^-⌊(times + 1) step / steps⌋,  and 2^-times from the end on

    Args:
        initial: the rate at the start, above 0.
        steps: of the whole run, or of a stage.
        times: how often, 1 or more.
    """

    def __init__(self, initial: float, steps: int, times: int = 1):
        check_positive("Halving.initial", initial)
        check_whole("Halving.steps", steps)
        check_whole("Halving.times", times)
        self.initial, self.steps, self.times = initial, steps, times

    def __call__(self, step):
        passed = keras.ops.cast(step, "int64") * (self.times + 1) // self.steps
        return self.initial * 0.5 ** keras.ops.cast(keras.ops.minimum(passed, self.times), "float32")

    def get_config(self):
        return {"initial": self.initial, "steps": self.steps, "times": self.times}


@gin.configurable
def make_optimizer(optimizer: Callable[[], keras.Optimizer] = adam) -> keras.Optimizer:
    """One player's optimizer: `optimizer` called without arguments, which gin has bound."""
    check_class("make_optimizer.optimizer", optimizer)
    return optimizer()


def _of_two_moments(kind: type, learning_rate, beta_1, beta_2, epsilon, weight_decay) -> keras.Optimizer:
    """Adam, or another with its arguments, checked under the name by which gin knows it."""
    name, decay = kind.__name__.lower(), _checked_decay(weight_decay)
    _check_moments(name, beta_1=beta_1, beta_2=beta_2)
    _check_epsilon(name, epsilon)
    return kind(_positive(learning_rate), beta_1, beta_2, epsilon, weight_decay=decay)


def _positive(learning_rate: LearningRate) -> LearningRate:
    if not isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        check_positive("learning_rate", learning_rate)
        if learning_rate > np.finfo(np.float32).max:
            raise UsageError(f"learning_rate={learning_rate!r} is infinite in float32")
        return float(learning_rate)  # Keras takes no integer
    return learning_rate


def _checked_decay(weight_decay: float | None) -> float | None:
    if weight_decay is not None:
        check_finite("weight_decay", weight_decay)
    return weight_decay


def _check_epsilon(optimizer: str, epsilon: float) -> None:
    """Rejects an ε that is 0 in float32, by which a gradient of 0 would be divided."""
    check_positive(f"{optimizer}.epsilon", epsilon)
    if np.float32(epsilon) == 0:
        raise UsageError(f"{optimizer}.epsilon={epsilon!r} is 0 in float32; 1e-8 is usual")


def _check_moments(optimizer: str, **decays: float) -> None:
    """Rejects decay rates outside [0, 1)."""
    for name, value in decays.items():
        check_finite(f"{optimizer}.{name}", value)
        if value >= 1:
            raise UsageError(f"{optimizer}.{name}={value!r} is not below 1; 0.9 is usual")
