"""Work on many rows a slice at a time, so that its memory does not grow with their number."""

from collections.abc import Callable, Sequence

import tensorflow as tf

OUTPUTS_AT_ONCE = 2**22  # numbers of the largest result; the feature maps before a decoder's are ten times as many


def in_slices(function: Callable, count: int, size: int, dtypes):
    """What a function makes of `size` rows at a time, of all rows together.

    Eagerly the slices are a loop, in a graph a loop of the graph, so that the graph does not grow either. The last
    slice begins earlier where `count` is no multiple of `size`: slices have one shape.

    Args:
        function: rows, int32 [size] → a nest of tensors [size, ...], of rows that do not depend on one another.
        count: how many rows there are, `size` or more.
        size: of a slice, 1 or more.
        dtypes: of the nest's tensors.

    Returns:
        The nest of tensors [count, ...].
    """
    starts = [*range(0, count - size, size), count - size]
    new = count - size * (len(starts) - 1)  # rows of the last slice that the one before it does not have

    def slice_from(start):
        return function(start + tf.range(size))

    def together(parts):
        return tf.concat([*parts[:-1], parts[-1][size - new :]], 0)

    if tf.executing_eagerly():
        return tf.nest.map_structure(lambda *parts: together(parts), *map(slice_from, starts))
    stacked = tf.map_fn(slice_from, tf.constant(starts), fn_output_signature=dtypes, parallel_iterations=1)
    return tf.nest.map_structure(
        lambda parts: tf.concat([tf.reshape(parts[:-1], (-1, *parts.shape[2:])), parts[-1, size - new :]], 0), stacked
    )


def of_few_examples(function: Callable, examples: Sequence, activations: int, dtypes):
    """`function(*examples)`, of as many examples at a time as have at most `OUTPUTS_AT_ONCE` activations, or of one.

    A graph for batches of any size calls it once.

    Args:
        function: returns a nest of tensors [batch, ...], of rows that do not depend on one another.
        examples: tensors [batch, ...], or None in the place of one.
        activations: numbers that the function's largest result has for an example.
        dtypes: of the nest's tensors.
    """
    count, rows = examples[0].shape[0], max(1, OUTPUTS_AT_ONCE // activations)
    if count is None or count <= rows:
        return function(*examples)

    def part(chosen):
        return function(*(None if each is None else tf.gather(each, chosen) for each in examples))

    return in_slices(part, count, rows, dtypes)
