"""The record of a data set, and batches."""

import dataclasses

import gin
import numpy as np
import pytest
import tensorflow as tf

from tfade.data import load
from tfade.errors import UsageError
from tfade.spec import Batch, Spec

SPEC = Spec("digits", "train", (16, 16, 1), "uint8", (0, 255), 10, 1265)
PAIR = dataclasses.replace(SPEC, other=Spec("npz:it's here.npz", "train", (2,), "float32", None, stacked=True))


@pytest.mark.parametrize("spec", [SPEC, PAIR, Spec.of_shape((3,))])
def test_a_spec_goes_through_gin(spec):
    """As a literal of a run's configuration, over a file and back."""

    with gin.unlock_config():

        @gin.configurable(module=__name__)
        def holder(spec=None):
            return spec

    try:
        with gin.unlock_config():
            gin.bind_parameter("holder.spec", spec.to_dict())
        holder()
        text = gin.operative_config_str()
        gin.clear_config()
        gin.parse_config(text)
        assert Spec.from_dict(holder()) == spec
    finally:
        gin.clear_config()
        gin.config._REGISTRY.pop(f"{__name__}.holder")


def test_lists_become_tuples_again():
    fields = {**SPEC.to_dict(), "shape": [16, 16, 1], "value_range": [0, 255]}
    assert Spec.from_dict(fields) == SPEC
    assert hash(Spec.from_dict(fields)) == hash(SPEC)


@pytest.mark.parametrize("fields", [{**SPEC.to_dict(), "size": 3}, {"name": "digits"}, 3])
def test_other_records_are_refused(fields):
    with pytest.raises(UsageError, match="is not the record of a data set; it needs dtype, name, shape"):
        Spec.from_dict(fields)


def test_spec_of_a_bare_shape():
    image, vector = Spec.of_shape([4, 6, 3]), Spec.of_shape((np.int64(5),))
    assert (image.dtype, image.value_range, image.is_image, image.dimensions) == ("uint8", (0, 255), True, 72)
    assert (vector.dtype, vector.value_range, vector.is_image, vector.dimensions) == ("float32", None, False, 5)
    assert vector.num_examples is vector.num_classes is None
    for shape in [(), (4, 6), (4, 6, 0), (1, 2, 3, 4)]:
        with pytest.raises(UsageError, match=r"give \(height, width, channels\) or \(dimensions,\)"):
            Spec.of_shape(shape)


def test_only_stacked_data_say_so():
    assert load("color_digits").spec.stacked
    assert not load("digits").spec.stacked


def test_batches_of_tensors_and_dicts():
    images, labels = tf.zeros((5, 2, 2, 1), tf.uint8), tf.range(5)
    alone = Batch.of(images)
    assert alone == Batch(images, None, None, None)
    assert Batch.of(alone) is alone
    both = Batch.of({"labels": labels, "images": images})
    assert both.labels is labels
    assert both.images is images
    assert both.size.numpy() == 5


def test_a_batch_has_the_size_of_the_moment():
    """Also where a function was traced for any size."""
    size = tf.function(lambda images: Batch(images).size, input_signature=[tf.TensorSpec((None, 2), tf.float32)])
    assert [int(size(tf.zeros((n, 2)))) for n in (3, 0)] == [3, 0]


@pytest.mark.parametrize("fields", [{}, {"labels": 1}, {"images": 1, "label": 2}])
def test_other_fields_are_refused(fields):
    with pytest.raises(UsageError, match="it needs images and may have labels, index, other"):
        Batch.of(fields)
