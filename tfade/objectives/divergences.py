"""Divergences between data and samples that a discriminator estimates: its losses, and the generator's.

A discriminator's output v(x) becomes a variational bound on an f-divergence, E_data[g(v)] - E_model[f*(g(v))], which it
maximises (Nowozin et al. 2016, equations 4 to 6 and table 6). All functions take v [batch, 1] and return [batch], or
v [batch, h, w, 1] of patches and return [batch, h, w].

Where the two forms of the generator's loss are one, or a paper gives it one of its own, there is no `saturating`.
"""

import gin
import tensorflow as tf


class Divergence:
    """What discriminator and generator minimise.

    Args:
        saturating: the generator minimises the bound itself, E_model[-f*(g(v))]; its gradient vanishes where the
            discriminator is certain. Otherwise, by default, it maximises E_model[g(v)], the non-saturating form
            (Goodfellow et al. 2014, section 3; Nowozin et al. 2016, section 3.2).

    Attributes:
        shift_invariant: whether a constant added to v leaves the bound as it is. Of several kinds of samples the
            discriminator then takes the mean; with their sum v would drift without bound.
    """

    shift_invariant = False

    def __init__(self, saturating: bool = False):
        self.saturating = saturating

    def real(self, v) -> tf.Tensor:
        """-g(v), the discriminator's loss on data."""
        raise NotImplementedError

    def fake(self, v) -> tf.Tensor:
        """f*(g(v)), the discriminator's loss on samples."""
        raise NotImplementedError

    def generator(self, v) -> tf.Tensor:
        """The generator's loss on its samples."""
        return -self.fake(v) if self.saturating else self.real(v)

    def swapped(self, v) -> tf.Tensor:
        """The loss of who makes the real side's examples and wants them to be taken for the others, as an encoder does
        in (x, E(x)): that of the generator, with the two sides exchanged."""
        return -self.real(v) if self.saturating else self.fake(v)


@gin.register
class Wasserstein(Divergence):
    """-v on data, v on samples: earth mover's distance for a 1-Lipschitz discriminator. Arjovsky et al. 2017, eq. 2."""

    shift_invariant = True

    def __init__(self):
        super().__init__()

    def real(self, v):
        return -tf.squeeze(v, -1)

    def fake(self, v):
        return tf.squeeze(v, -1)


@gin.register
class CrossEntropy(Divergence):
    """-log D on data, -log(1 - D) on samples: the Jensen-Shannon divergence. Goodfellow et al. 2014, eq. 1.

    D = sigmoid(v) is the probability that an example is real: -log D = softplus(-v), -log(1 - D) = softplus(v).
    """

    def real(self, v):
        return tf.nn.softplus(-tf.squeeze(v, -1))

    def fake(self, v):
        return tf.nn.softplus(tf.squeeze(v, -1))


@gin.register
class LogRatio(CrossEntropy):
    """Discriminator by cross entropy; the generator minimises log(1 - D) - log D = -v, the log-ratio of model to data.

    It is the sum of the minimax loss and of the non-saturating one. For the optimal discriminator its mean is
    KL(model ‖ data).

    Reference: Lucas et al. 2019, equation 5.
    """

    def __init__(self):
        super().__init__()

    def generator(self, v):
        return -tf.squeeze(v, -1)

    def swapped(self, v):
        return tf.squeeze(v, -1)


@gin.register
class Hinge(Divergence):
    """max(0, 1 - v) on data, max(0, 1 + v) on samples; -v for the generator. Miyato et al. 2018, eqs. 16 and 17."""

    def __init__(self):
        super().__init__()

    def real(self, v):
        return tf.nn.relu(1.0 - tf.squeeze(v, -1))

    def fake(self, v):
        return tf.nn.relu(1.0 + tf.squeeze(v, -1))

    def generator(self, v):
        return -tf.squeeze(v, -1)

    def swapped(self, v):
        return tf.squeeze(v, -1)


@gin.register
class Hellinger(Divergence):
    """g(v) = 1 - exp(-v), f*(t) = t / (1 - t): squared Hellinger distance."""

    def real(self, v):
        return tf.math.expm1(-tf.squeeze(v, -1))

    def fake(self, v):
        return tf.math.expm1(tf.squeeze(v, -1))


@gin.register
class KL(Divergence):
    """g(v) = v, f*(t) = exp(t - 1): KL(data ‖ model)."""

    def real(self, v):
        return -tf.squeeze(v, -1)

    def fake(self, v):
        return tf.exp(tf.squeeze(v, -1) - 1.0)


@gin.register
class ReverseKL(Divergence):
    """g(v) = -exp(-v), f*(t) = -1 - log(-t): KL(model ‖ data)."""

    def real(self, v):
        return tf.exp(-tf.squeeze(v, -1))

    def fake(self, v):
        return tf.squeeze(v, -1) - 1.0


@gin.register
class TotalVariation(Divergence):
    """g(v) = ½ tanh(v), f*(t) = t: total variation."""

    def real(self, v):
        return -0.5 * tf.tanh(tf.squeeze(v, -1))

    def fake(self, v):
        return 0.5 * tf.tanh(tf.squeeze(v, -1))


@gin.register
class LeastSquares(Divergence):
    """½ (v - 1)² on data, ½ v² on samples. Mao et al. 2017, equation 9 (a = 0, b = c = 1)."""

    def real(self, v):
        return 0.5 * tf.square(tf.squeeze(v, -1) - 1.0)

    def fake(self, v):
        return 0.5 * tf.square(tf.squeeze(v, -1))
