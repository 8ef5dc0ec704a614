"""What keeps a decoder smooth around the codes it was trained on: penalties of regularised autoencoders."""

from collections.abc import Callable

import gin
import tensorflow as tf

from tfade.errors import check_finite
from tfade.seeds import Seeds


class Smoothness:
    """A penalty of a decoder; `name` is its term's.

    Args:
        weight: λ ≥ 0.

    Raises:
        UsageError: a weight that is negative or not finite.
    """

    name: str

    def __init__(self, weight: float):
        check_finite(f"{type(self).__name__}.weight", weight)
        self.weight = weight

    def __call__(self, decode: Callable, codes, variables, seeds: Seeds) -> tf.Tensor:
        """The penalty, [batch] or scalar.

        Args:
            decode: codes → images.
            codes: [batch, latent_size].
            variables: the decoder's trainable ones.
            seeds: noise of this pass.
        """
        raise NotImplementedError


@gin.register
class DecoderL2(Smoothness):
    """Σ_θ θ², over all trainable variables of the decoder (RAE-L2).

    Args:
        weight: λ; 1e-7 to 1e-6 in the authors' code.

    Reference: Ghosh et al. 2020, section 3.1, "L2 regularisation".
    """

    name = "decoder_l2"

    def __init__(self, weight: float = 1e-6):
        super().__init__(weight)

    def __call__(self, decode, codes, variables, seeds):
        return tf.add_n([tf.reduce_sum(tf.square(tf.cast(tf.convert_to_tensor(v), tf.float32))) for v in variables])


@gin.register
class DecoderGradient(Smoothness):
    """‖∂G(z) / ∂z‖²_F / D, the mean over the D dimensions of an image (RAE-GP).

    The norm of the Jacobian J is estimated without bias by one probe, E_v ‖Jᵀ v‖² = ‖J‖²_F with v ~ N(0, I); all of J
    would take as many passes as there are codes. (The authors' code has the gradient of Σ x̂² in its place.)

    Args:
        weight: λ.

    Reference: Ghosh et al. 2020, section 3.1, "Gradient penalty"; Hutchinson 1990 (the estimate).
    """

    name = "decoder_gradient"

    def __init__(self, weight: float = 1e-2):
        super().__init__(weight)

    def __call__(self, decode, codes, variables, seeds):
        with tf.GradientTape() as tape:
            tape.watch(codes)
            decoded = decode(codes)
            shape = decoded.shape[1:]
            projected = tf.reduce_sum(decoded * seeds.normal("probe", (tf.shape(codes)[0], *shape)))
        return tf.reduce_sum(tf.square(tape.gradient(projected, codes)), -1) / shape.num_elements()
