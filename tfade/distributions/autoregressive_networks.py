"""The networks of autoregressive densities: recurrent and masked."""

import gin
import keras
import tensorflow as tf

from tfade.distributions.autoregressive import Autoregressive
from tfade.distributions.conditionals import parameters_of
from tfade.distributions.scales import SCALE_RANGE
from tfade.errors import check_choice, check_class, check_seed, check_sizes
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.made import MADE, ORDERS


@gin.register
class AutoregressiveLSTM(Autoregressive):
    """The conditionals come from an LSTM that runs over the dimensions.

    At dimension i it sees u_{i-1}, which dimension it is (one-hot) and the context; a network turns its state into the
    parameters. The density takes one teacher-forced pass, a sample as many steps as there are dimensions.

    Args:
        width: units of the LSTM.
        components, scale_range: see `Autoregressive`.
        head: class of the network from states to parameters, called as `head(inputs, outputs)`. A linear one would do
            for many dimensions; with few, the LSTM alone has little depth.

    Reference: Rosca et al. 2018, appendix E.3, which names this density and no sizes.
    """

    def __init__(
        self,
        width: int = 128,
        components: int = 1,
        scale_range: tuple[float, float] = SCALE_RANGE,
        head=MLPConditioner,
        **kwargs,
    ):
        super().__init__(components, scale_range, **kwargs)
        check_sizes("AutoregressiveLSTM", width=width)
        check_class("head", head)
        self.width, self._make_head = width, head

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        size = self.event_shape[0]
        # The kernel of cuDNN cannot be compiled by XLA.
        self.lstm = keras.layers.LSTM(self.width, return_sequences=True, use_cudnn=False, dtype=self.dtype_policy)
        self.lstm.build((None, size, 1 + size + self.context_size))
        self.head = self._make_head(self.width, parameters_of(self.components))

    def parameters(self, u, context):
        size = self.event_shape[0]
        before = tf.concat([tf.zeros_like(u[:, :1]), u[:, :-1]], 1)[..., None]
        inputs = [before, tf.eye(size, batch_shape=[tf.shape(u)[0]], dtype=u.dtype)]
        if context is not None:
            inputs.append(tf.repeat(context[:, None], size, axis=1))
        states = self.lstm(tf.concat(inputs, -1))
        return tf.reshape(self.head(tf.reshape(states, (-1, self.width))), (-1, size, parameters_of(self.components)))

    def ancestral(self, draw, noise, context):
        count, size = tf.shape(noise)[0], self.event_shape[0]
        zeros = tf.zeros((count, self.width), tf.as_dtype(self.compute_dtype))

        def step(place, last, state, drawn, log_probs):
            inputs = [last, tf.repeat(tf.one_hot([place], size, dtype=noise.dtype), count, axis=0)]
            output, state = self.lstm.cell(tf.concat([*inputs, *([] if context is None else [context])], -1), state)
            value, log_prob = draw(noise[:, place], self.head(output))
            return place + 1, value, state, drawn.write(place, value), log_probs.write(place, log_prob)

        arrays = [tf.TensorArray(noise.dtype, size, element_shape=(None, 1)) for _ in range(2)]
        start = (0, tf.zeros((count, 1), noise.dtype), [zeros, zeros], *arrays)
        *_, drawn, log_probs = tf.while_loop(lambda place, *_: place < size, step, start, maximum_iterations=size)
        return tuple(tf.transpose(array.stack()[..., 0]) for array in (drawn, log_probs))


@gin.register
class AutoregressiveMADE(Autoregressive):
    """The conditionals come from one masked network.

    The density takes one pass; a sample goes through the dimensions one by one.

    Args:
        components, scale_range: see `Autoregressive`.
        order: of the dependence: "natural", "reversed" or "random".
        seed: of a random order.
        conditioner: class of the network, called as `conditioner(dimensions, outputs, context_size, order=…, seed=…)`.

    Reference: Germain et al. 2015; with mixtures, Papamakarios et al. 2017, section 4.2 (MADE MoG).
    """

    def __init__(
        self,
        components: int = 1,
        scale_range: tuple[float, float] = SCALE_RANGE,
        order: str = "natural",
        seed: int = 0,
        conditioner=MADE,
        **kwargs,
    ):
        super().__init__(components, scale_range, **kwargs)
        check_class("conditioner", conditioner)
        check_choice("order", order, ORDERS)
        check_seed("seed", seed)
        self.order, self.seed, self._make_conditioner = order, seed, conditioner

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        self.conditioner = self._make_conditioner(
            self.event_shape[0], parameters_of(self.components), self.context_size, order=self.order, seed=self.seed
        )

    def parameters(self, u, context):
        flat = self.conditioner(u) if context is None else self.conditioner(u, context)
        shape = (-1, parameters_of(self.components), self.event_shape[0])
        return tf.transpose(tf.reshape(flat, shape), (0, 2, 1))

    def ancestral(self, draw, noise, context):
        return self.conditioner.ancestral(draw, noise, context)
