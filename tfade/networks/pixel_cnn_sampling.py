"""Sampling of a PixelCNN in one loop over the places, with the features of those that are done kept."""

import sys
from collections.abc import Callable

import tensorflow as tf

from tfade.networks.pixel_cnn_layers import Gate, pointwise

EVERY = 5.0  # seconds between lines of progress


def ancestral(network, draw: Callable, given: tf.Tensor, context: tf.Tensor | None, report: str) -> tf.Tensor:
    """See `GatedPixelCNN.ancestral`.

    A row at a time: the vertical stack makes features of the new row from those of the rows above that its kernels
    reach, then the horizontal stack goes from place to place with those of the columns to the left.
    """
    height, width, channels = network.shape
    rows = tf.shape(given)[0]
    sampler = _Rows(network, draw)
    arrays = [_unstacked(maps) for maps in (given, context) if maps is not None]
    drawn = tf.TensorArray(given.dtype, height, element_shape=(given.shape[0], width, channels))

    def step(row, above, drawn, last):
        parts = [array.read(row) for array in arrays]
        links, above = sampler.vertical(above, parts[1] if len(parts) == 2 else None)
        values = sampler.horizontal(parts[0], links)
        above[0] = tf.concat([above[0][:, 1:], values[:, None]], 1)
        return row + 1, above, drawn.write(row, values), _reported(report, row, height, last)

    start = (tf.constant(0), sampler.nothing_above(rows), drawn, tf.timestamp() if report else tf.constant(0.0))
    _, _, drawn, _ = tf.while_loop(lambda row, *_: row < height, step, start, maximum_iterations=height)
    return tf.transpose(drawn.stack(), (1, 0, 2, 3))


class _Rows:
    """One row of the sampler: kernels are read and masked once, outside the loop."""

    def __init__(self, network, draw: Callable):
        self.network, self.draw = network, draw
        self.kernels = [gate.masked_kernel() for gate in network.vertical]
        self.pointwise = network.pointwise_kernels()
        # A place sees its columns in one product.
        self.flat = [tf.reshape(gate.masked_kernel(), (-1, 2 * network.width)) for gate in network.horizontal]

    def nothing_above(self, rows) -> list[tf.Tensor]:
        """Zeros for what a row sees above it: of the image, then of each layer's features."""
        network, (_, width, channels) = self.network, self.network.shape
        sizes = [(network.reach, channels)] + [(network.inner_reach, network.width)] * (network.depth - 1)
        dtype = tf.as_dtype(network.variable_dtype)
        return [tf.zeros((rows, count, width, features), dtype) for count, features in sizes]

    def vertical(self, above: list[tf.Tensor], context) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """What the vertical stack hands to the horizontal one in the next row, and what the row after that sees.

        Args:
            above: of the image, and of each later layer's features, the rows that the kernels reach.
            context: of the row, [batch, W, context_size], or None.

        Returns:
            For each layer [batch, W, 2 · width]; and `above`, the features moved on by a row, the image as it is.
        """
        network, links, kept, row = self.network, [], [above[0]], None
        for layer, kernel in enumerate(self.kernels):
            seen, reach = above[layer], network.inner_reach if layer else network.reach
            if layer:
                seen = tf.concat([seen, row], 1)
                kept.append(seen[:, 1:])
            padded = tf.pad(seen, [[0, 0], [0, 0], [reach, reach], [0, 0]])
            sums = tf.nn.conv2d(padded, kernel, 1, "VALID")
            sums += network.vertical[layer].offset(None if context is None else context[:, None])
            row = Gate.gated(sums)
            link = pointwise(sums[:, 0], network.links[layer])
            links.append(link + network.horizontal[layer].offset(context))
        return links, kept

    def horizontal(self, given: tf.Tensor, links: list[tf.Tensor]) -> tf.Tensor:
        """The values of a row, [batch, W, C], for what is given of it and the sums from above, [batch, W, …] each."""
        network, (_, width, channels) = self.network, self.network.shape
        rows, dtype = tf.shape(given)[0], given.dtype
        given, links = _unstacked(given), _unstacked(tf.concat(links, -1))
        left = [tf.zeros((rows, network.reach * channels), dtype)]
        left += [tf.zeros((rows, network.inner_reach * network.width), dtype) for _ in range(network.depth - 1)]
        values = tf.TensorArray(dtype, width, element_shape=(None, channels))

        def step(place, left, values):
            value, left = self.place(given.read(place), tf.split(links.read(place), network.depth, -1), left)
            return place + 1, left, values.write(place, value)

        start = (tf.constant(0), left, values)
        *_, values = tf.while_loop(lambda place, *_: place < width, step, start, maximum_iterations=width)
        return tf.transpose(values.stack(), (1, 0, 2))

    def place(self, given, links: list[tf.Tensor], left: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The value at one place, [batch, C], and what the next place sees to its left.

        Args:
            given: of the place.
            links: for each layer [batch, 2 · width], from above.
            left: for each layer the inputs of the columns that its kernel reaches, side by side.
        """
        network, channels, residuals = self.network, self.network.shape[-1], self.pointwise.residuals
        value = tf.zeros_like(left[0][:, :channels])
        for _ in range(network.groups):  # each time one more channel is right; the features are after the last
            inputs, seen = value, []
            for layer, kernel in enumerate(self.flat):
                seen.append(tf.concat([left[layer], inputs], -1))
                features = tf.matmul(Gate.gated(tf.matmul(seen[-1], kernel) + links[layer]), residuals[layer])
                inputs = features + inputs if layer else features
            value = self.draw(given, self.pointwise.parameters(inputs))
        seen[0] = tf.concat([left[0], value], -1)
        sizes = [channels] + [network.width] * (network.depth - 1)
        return value, [columns[:, size:] for columns, size in zip(seen, sizes)]


def _unstacked(maps: tf.Tensor) -> tf.TensorArray:
    """[batch, n, …] as an array of n tensors [batch, …]."""
    array = tf.TensorArray(maps.dtype, maps.shape[1], element_shape=maps.shape[:1] + maps.shape[2:])
    return array.unstack(tf.transpose(maps, (1, 0, *range(2, maps.shape.rank))))


def _reported(report: str, row, height: int, last):
    """When progress was last reported, after maybe doing so."""
    if not report:
        return last
    now = tf.timestamp()

    def tell():
        line = tf.print(f"  {report}:", row + 1, "of", height, "rows", output_stream=sys.stdout)
        with tf.control_dependencies([] if line is None else [line]):  # nothing where functions run eagerly
            return tf.identity(now)

    return tf.cond(now - last > EVERY, tell, lambda: last)
