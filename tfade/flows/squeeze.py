"""Space to channels and back."""

import gin
import tensorflow as tf

from tfade.errors import UsageError
from tfade.flows.layer import FlowLayer


@gin.register
class Squeeze(FlowLayer):
    """Every 2×2 block of pixels becomes one pixel: [H, W, C] → [H/2, W/2, 4C]; the volume stays.

    Channel (2 i + j) · C + c is channel c of the pixel in row i and column j of its block (Flow-GAN's order; RealNVP's,
    too, with one channel). So the two halves of the channels are the rows of the blocks, in all colours: a coupling of
    channels that follows does not repeat what checkerboard couplings before it did.

    Raises:
        UsageError: at `build`, events that are not images, or of odd height or width.

    Reference: Dinh et al. 2017, section 3.6 and figure 3.
    """

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        height, width, channels = image_shape(self)
        if height % 2 or width % 2:
            raise UsageError(
                f"Squeeze was given images of {height}×{width}; height and width have to be even: use a size that can "
                "be halved once for every squeeze (load.image_size), or fewer squeezes"
            )
        self.latent_shape = (height // 2, width // 2, 4 * channels)

    def forward_and_log_det(self, z, context):
        return tf.nn.depth_to_space(z, 2), tf.zeros(tf.shape(z)[:1], z.dtype)

    def inverse_and_log_det(self, x, context):
        return tf.nn.space_to_depth(x, 2), tf.zeros(tf.shape(x)[:1], x.dtype)


def image_shape(flow: FlowLayer) -> tuple[int, int, int]:
    """(H, W, C) of the images that a flow was built for, or an error if it was not given images."""
    if len(flow.event_shape) != 3:
        raise UsageError(
            f"{type(flow).__name__} was given events of shape {flow.event_shape}; it needs images, (H, W, C)"
        )
    return flow.event_shape
