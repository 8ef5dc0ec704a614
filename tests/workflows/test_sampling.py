"""Samples as files: grids, arrays and folders; a conditional model's by class; what inverses took."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.flows.cases import perturb
from tfade.errors import UsageError
from tfade.evaluation.sampling import BATCH, batch_seed
from tfade.flows.residual import ResidualBlock
from tfade.flows.stack import Stack
from tfade.models.flow import FlowModel
from tfade.models.latent import LatentVariableModel
from tfade.networks.lipschitz import LipschitzMLP
from tfade.seeds import as_seed
from tfade.spec import Spec
from tfade.workflows.sampling import PER_CLASS, draw, draw_to

CLASSES = 5
SPEC = Spec("squares", "train", (4, 4, 1), "uint8", (0, 255), CLASSES, 100)


class Levels(LatentVariableModel):
    """Grey images, a level for each class: 0, 51, 102, …"""

    conditional = True

    def __init__(self):
        super().__init__(SPEC, latent_size=2)

    def decode(self, z, labels=None):
        levels = tf.cast(self.checked_labels(labels, z.shape[0]), tf.float32) / CLASSES
        return tf.broadcast_to(levels[:, None, None, None], (z.shape[0], *SPEC.shape))


class Plain(LatentVariableModel):
    """Images that are noise in the first pixel and white elsewhere."""

    def __init__(self, spec=SPEC):
        super().__init__(spec, latent_size=1)

    def decode(self, z, labels=None):
        if not self.spec.is_image:
            return tf.repeat(z, self.spec.shape[0], axis=-1)
        first = tf.sigmoid(z)[:, :, None, None]
        return tf.pad(first, [[0, 0], [0, 3], [0, 3], [0, 0]], constant_values=1.0)


def levels_of(path) -> np.ndarray:
    """The class that each image of an array shows."""
    return np.load(path)["images"][:, 0, 0, 0] // 51


def test_every_class_is_drawn_equally_often(tmp_path):
    path = tmp_path / "a.npz"
    assert draw_to(path, Levels()) == PER_CLASS * CLASSES
    expected = np.repeat(np.arange(CLASSES), PER_CLASS)
    np.testing.assert_array_equal(np.load(path)["labels"], expected)
    np.testing.assert_array_equal(levels_of(path), expected)


def test_some_classes_in_the_order_given(tmp_path):
    path = tmp_path / "a.npz"
    assert draw_to(path, Levels(), 7, labels=[3, 0]) == 7
    np.testing.assert_array_equal(levels_of(path), [3, 3, 3, 3, 0, 0, 0])


def test_labels_go_with_their_images_beyond_one_chunk(tmp_path):
    path = tmp_path / "a.npz"
    draw_to(path, Levels(), 1203, labels=[4, 1, 2])
    np.testing.assert_array_equal(levels_of(path), np.repeat([4, 1, 2], 401))


def test_a_grid_has_a_row_for_each_class(tmp_path):
    draw_to(tmp_path / "a.png", Levels(), 5, labels=[2, 4])
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    rows, columns = 2, 3
    cells = picture[: picture.shape[0] // rows * rows, : picture.shape[1] // columns * columns]
    middles = cells.reshape(rows, picture.shape[0] // rows, columns, -1)[:, picture.shape[0] // rows // 2]
    middles = middles[:, :, middles.shape[-1] // 2]
    np.testing.assert_array_equal(middles, [[102, 102, 102], [204, 204, 255]])  # the second class has one fewer


def test_a_folder_has_one_for_each_class(tmp_path):
    draw_to(tmp_path / "out", Levels(), 3, labels=[2, 4])
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert names == ["2/000000.png", "2/000001.png", "4/000002.png"]
    assert np.asarray(Image.open(tmp_path / "out" / "4" / "000002.png")).max() == 204


def test_more_samples_continue_fewer(tmp_path):
    few, many = (draw(Plain(), count, 1.0, 3) for count in (5, 700))
    np.testing.assert_array_equal(few, many[:5])
    assert len(np.unique(many[:, 0, 0, 0])) > 50


def test_no_more_are_drawn_than_are_asked_for():
    """Pixel by pixel every one takes its time; of more than a batch all batches are whole, by one traced shape."""
    model, asked = Plain(), []
    sample = model.sample
    model.sample = lambda n, **arguments: asked.append(n) or sample(n, **arguments)
    for count, expected in ((64, [64]), (BATCH, [BATCH]), (BATCH + 1, [BATCH, BATCH])):
        assert len(draw(model, count, 1.0, 3)) == count
        assert asked == expected
        asked.clear()


@pytest.mark.every(2)
@pytest.mark.parametrize("batches", [2, 5], ids=["one by one", "in a graph"])
def test_the_iterations_of_inverses_are_reported(capsys, batches):
    """Those of the slowest block in all batches, with its own tolerance, by the blocks one after the other."""
    block = functools.partial(ResidualBlock, functools.partial(LipschitzMLP, width=6, depth=1))
    model = FlowModel((3,), functools.partial(Stack, (block, functools.partial(block, tolerance=1e-3))))
    perturb(model.flow, 2.0)
    draw(model, batches * BATCH, 1.0, 3)
    first, second = model.flow.parts[0].parts
    found = []
    for batch in range(batches):
        later = second.fixed_point(model.prior().sample(BATCH, seed=as_seed(batch_seed(3, batch))))
        found += [later, first.fixed_point(later.value)]
    most, tolerance = max((int(each.iterations), each.tolerance) for each in found)
    line = f"  inverse by fixed-point iteration: at most {most} iterations (tolerance {tolerance:g})\n"
    assert capsys.readouterr().out.endswith(line)  # behind the progress, where there are many
    draw(Plain(), 5, 1.0, 3)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "out", "labels", "message"),
    [
        (Levels, "a.png", [CLASSES], "label=5 is not a class of Levels, which has 0 to 4"),
        (Plain, "a.png", [0], r"label=\[0\] was given, but Plain is not conditional"),
        (lambda: Plain(Spec.of_shape((3,))), "folder", None, "draws vectors; give a .npz file"),
    ],
    ids=["unknown class", "not conditional", "vectors"],
)
def test_invalid_requests_are_rejected(tmp_path, model, out, labels, message):
    with pytest.raises(UsageError, match=message):
        draw_to(tmp_path / out, model(), labels=labels)
    assert not list(tmp_path.iterdir())
