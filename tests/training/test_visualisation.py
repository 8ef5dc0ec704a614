"""What TensorBoard and samples/ hold after a run."""

import csv
import io
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers import PLAYERS, ROOT, eagerly, train_here
from tfade.training import model_pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("showing") / "run"
    with eagerly():
        assert train_here(run, "steps = 4", "Recipe.interval = 2", files=PLAYERS) == 0
    return run


@pytest.fixture(scope="module")
def events(run):
    accumulator = EventAccumulator(str(run / "logs"), size_guidance={"images": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def test_every_player_and_term_has_a_curve(run, events):
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    curves = {tag for tag in events.Tags()["tensors"]}
    terms = set(rows[0]) - {"step"}
    assert {
        "encoder/reconstruction",
        "generator/sample_adversarial",
        "discriminator/sample",
        "code_discriminator/real",
    } <= terms
    assert terms | {"images_per_second"} <= curves
    for term in terms:
        points = events.Tensors(term)
        assert [point.step for point in points] == [2, 4]
        values = [
            float(np.frombuffer(point.tensor_proto.tensor_content, np.float32)[0])
            if point.tensor_proto.tensor_content
            else point.tensor_proto.float_val[0]
            for point in points
        ]
        np.testing.assert_allclose(values, [float(row[term]) for row in rows], rtol=1e-6)


def test_pictures_histograms_and_configuration_are_there(events, run):
    tags = set(events.Tags()["tensors"])
    assert {"samples", "reconstructions", "interpolation", "codes/encoded", "codes/prior", "configuration"} <= tags
    width, height, png = events.Tensors("samples")[-1].tensor_proto.string_val
    assert png == (run / "samples" / "samples-000000004.png").read_bytes()
    assert Image.open(io.BytesIO(png)).size == (int(width), int(height))
    buckets = tf.make_ndarray(events.Tensors("codes/prior")[-1].tensor_proto)  # left, right, count
    assert buckets[:, 2].sum() == 16 * 6  # Visualisation.codes of that many latents
    assert [point.step for point in events.Tensors("codes/prior")] == [2, 4]
    text = events.Tensors("configuration")[0].tensor_proto.string_val[0].decode()
    assert "Recipe.model = @VGHPlusPlus" in text
    assert "'shape': (16, 16, 3)" in text


def test_the_pictures_of_every_interval_are_files(run):
    names = {path.name for path in (run / "samples").iterdir()}
    assert names == {
        f"{kind}-{step:09d}.png" for kind in ("samples", "reconstructions", "interpolation") for step in (2, 4)
    }
    for name in names:
        assert np.asarray(Image.open(run / "samples" / name)).std() > 1


def test_an_interpolation_begins_and_ends_at_reconstructions(make_model, images):
    from tfade import pictures
    from tfade.data.source import ArraySource
    from tfade.training.model_pictures import interpolation_picture, spread

    model = make_model()
    picture = interpolation_picture(model, ArraySource("scans", "test", images), 2, 5)
    rows = np.asarray(model.reconstruct(images[spread(8, 4)]))
    gap = pictures.GAP
    for row in range(2):
        top = gap + row * (16 + gap)
        first, last = picture[top : top + 16, gap : gap + 16], picture[top : top + 16, gap + 4 * (16 + gap) :][:, :16]
        np.testing.assert_allclose(first, pictures.to_uint8(rows[2 * row]), atol=1)
        np.testing.assert_allclose(last, pictures.to_uint8(rows[2 * row + 1]), atol=1)


def test_samples_of_a_conditional_model_have_a_row_for_each_class():
    """A model whose images are as bright as their class."""
    from tfade.pictures import GAP
    from tfade.training.model_pictures import sample_picture

    spec = types.SimpleNamespace(num_classes=3, stacked=None)
    sample = lambda n, seed, labels: np.full((n, 8, 8, 1), 0.2) * np.reshape(labels, (n, 1, 1, 1))
    picture = sample_picture(types.SimpleNamespace(conditional=True, spec=spec, sample=sample), 6)
    assert picture.shape[:2] == (GAP + 3 * (8 + GAP), GAP + 2 * (8 + GAP))
    for label in range(3):
        row = picture[GAP + label * (8 + GAP) :][:8]
        for column in range(2):
            assert (row[:, GAP + column * (8 + GAP) :][:, :8] == round(51 * label)).all()


def test_few_of_many_are_spread_evenly():
    from tfade.training.model_pictures import spread

    assert spread(10, 4).tolist() == [0, 3, 6, 9]
    assert spread(3, 12).tolist() == [0, 1, 2]
    assert spread(60_000, 10)[-1] == 59_999


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")])
def test_an_error_while_drawing_is_a_note(error):
    notes = []
    with model_pictures.skip_on_failure("overview", notes.append):
        raise error
    assert notes[0].startswith("note: overview left out: ")


@pytest.mark.full("the note is tested above")
@pytest.mark.usefixtures("eager")
def test_what_cannot_be_drawn_ends_no_run(tmp_path, capsys):
    """One iteration is too few to invert this residual flow; training by maximum likelihood needs no inverse."""
    files = [str(ROOT / "gin" / name) for name in ("residual_flow.gin", "fragments/residual_flow_vectors.gin")]
    files.append(str(ROOT / "gin" / "data" / "toy_moons.gin"))
    small = ("steps = 2", "batch_size = 8", "blocks/Stack.repeat = 1", "ResidualBlock.max_iterations = 1")
    assert train_here(tmp_path / "run", *small, files=files) == 0
    output = capsys.readouterr().out
    assert "note: pictures of step 2 left out: " in output
    assert "has not converged after 1 iterations" in output
