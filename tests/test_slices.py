"""Slices of rows: the same as all rows at once, in a graph that does not grow with them."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.slices import in_slices

VALUES = tf.constant(np.random.default_rng(0).normal(size=(11, 3)), tf.float32)


def doubled(rows):
    values = tf.gather(VALUES, rows)
    return {"values": 2 * values, "rows": rows}


@pytest.mark.parametrize("size", [1, 3, 4, 10, 11])
@pytest.mark.parametrize("compiled", [False, True])
def test_together_they_are_all_rows_in_order(size, compiled):
    def sliced():
        return in_slices(doubled, 11, size, {"values": tf.float32, "rows": tf.int32})

    found = (tf.function(sliced) if compiled else sliced)()
    np.testing.assert_array_equal(found["rows"], range(11))
    np.testing.assert_array_equal(found["values"], 2 * VALUES)


def test_a_graph_has_one_slice_however_many_there_are():
    def operations(count: int) -> int:
        graph = tf.function(lambda: in_slices(tf.square, count, 2, tf.int32)).get_concrete_function().graph
        return len(graph.get_operations()) + sum(len(f.node_def) for f in graph.as_graph_def().library.function)

    assert operations(4) == operations(400)
