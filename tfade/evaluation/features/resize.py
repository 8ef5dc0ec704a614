"""The three ways of resizing images to a feature network's size that are in use. They are not interchangeable."""

import tensorflow as tf

from tfade.errors import UsageError

LEGACY_TENSORFLOW, LEGACY_PYTORCH, CLEAN = RESIZES = ("legacy_tensorflow", "legacy_pytorch", "clean")


def check_resize(argument: str, mode: str) -> str:
    """Returns `mode`, or raises a UsageError that lists the possible ones."""
    if mode not in RESIZES:
        raise UsageError(f"{argument}={mode!r} is not one of {', '.join(RESIZES)}")
    return mode


def resized(images, size: tuple[int, int], mode: str) -> tf.Tensor:
    """Images at another size.

        legacy_tensorflow   bilinear, output pixel i at i·(in/out): the corner pixels are not centred
        legacy_pytorch      bilinear, output pixel i at (i + ½)·(in/out) − ½, no antialiasing
        clean               bicubic (a = −½), antialiased, then clipped to [0, 255], as overshoot leaves it

    On 32×32 noise brought to 299×299 the first two differ by tens of grey levels on average, so a number is
    comparable only with numbers of the same mode.

    Args:
        images: in 0..255, uint8 or float32 [N, H, W, C].
        size: (height, width) that is wanted.
        mode: one of `RESIZES`.

    Returns:
        float32 [N, height, width, C] in [0, 255], not rounded.

    Raises:
        UsageError: another mode.

    Reference: Heusel et al. 2017 (their graph file); pytorch-fid; Parmar, Zhang and Zhu 2022, "On Aliased Resizing and
        Surprising Subtleties in GAN Evaluation", section 3.
    """
    check_resize("mode", mode)
    images = tf.cast(images, tf.float32)
    if mode == LEGACY_TENSORFLOW:
        return tf.raw_ops.ResizeBilinear(images=images, size=size, align_corners=False, half_pixel_centers=False)
    if mode == LEGACY_PYTORCH:
        return tf.image.resize(images, size, "bilinear", antialias=False)
    return tf.clip_by_value(tf.image.resize(images, size, "bicubic", antialias=True), 0.0, 255.0)
