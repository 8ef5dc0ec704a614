"""The pictures are of what the numbers are of, and metrics that come later find nothing drawn twice."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorflow_probability.python.bijectors import Shift

from tfade.contract import Contract
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import NotApplicable, Pictures, Subject
from tfade.evaluation.samples.pictures import BETWEEN, columns, first_samples


class Noise(Contract):
    """A model that counts its draws, and gives its input back."""

    def __init__(self, shape=(16, 16, 1)):
        self.shape, self.calls = shape, []

    def sample(self, n, temperature=1.0, seed=None, labels=None):
        self.calls.append(n)
        return np.random.default_rng(seed).uniform(size=(n, *self.shape)).astype(np.float32)

    def reconstruct(self, x, labels=None):
        return x.astype(np.float32) / 255


class Encoder(Contract):
    """A model that answers nothing that could be shown."""


class Sampling(Noise):
    """A model without an encoder."""

    reconstruct = Contract.reconstruct


class Between(Noise):
    """A model that interpolates the images themselves."""

    encode = decode = lambda self, x, labels=None: x

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def prior_flow(self):
        return self.flow

    def interpolate(self, first, last, steps=8, labels=None, in_noise=False):
        assert self.flow is not None or not in_noise
        return np.linspace(first / 255, last / 255, steps, axis=1)


def subject_of(model, **settings):
    return Subject(model, real=digits("test"), train=digits("train"), progress=lambda line: None, **settings)


def test_the_samples_shown_are_the_first_of_those_evaluated():
    model = Noise()
    subject = subject_of(model, num_samples=120, batch_size=50)
    shown = first_samples(subject, 40)
    assert model.calls == [50]
    np.testing.assert_array_equal(shown, subject.samples[:40])
    calls = len(model.calls)
    np.testing.assert_array_equal(first_samples(subject, 40), shown)
    np.testing.assert_array_equal(first_samples(subject_of(Noise(), num_samples=120, batch_size=50), 60)[:40], shown)
    assert len(model.calls) == calls


def test_figures_of_images_and_of_vectors():
    model = Noise()
    figures = Pictures(samples=6, reconstructions=5)(subject_of(model, num_samples=10))
    assert [figure.name for figure in figures] == ["samples", "reconstructions"]
    assert "6 of the samples, 16×16×1" in figures[0].caption
    assert "5 images of the test split" in figures[1].caption
    assert [figure.name for figure in Pictures()(subject_of(Sampling(), num_samples=10))] == ["samples"]
    with pytest.raises(NotApplicable, match="Encoder answers neither"):
        Pictures()(subject_of(Encoder(), num_samples=10))
    points = ArraySource("ring", "test", np.zeros((30, 2), np.float32))
    quiet = {"num_samples": 20, "progress": lambda line: None}
    (figure,) = Pictures()(Subject(Noise((2,)), real=points, train=points, **quiet))
    assert "20 samples beside as many examples" in figure.caption
    assert min(Image.open(io.BytesIO(figure.png)).size) > 200


@pytest.mark.parametrize(("flow", "spaces"), [(None, 1), (Shift(0.5), 2)])
def test_interpolations_in_code_space_and_beside_them_in_noise(flow, spaces):
    figures = Pictures(6, 5, interpolations=3)(subject_of(Between(flow), num_samples=10))
    assert [figure.name for figure in figures] == ["samples", "reconstructions", "interpolation"]
    assert "3 pairs of images of the test split" in figures[2].caption
    assert ("noise" in figures[2].caption) == (spaces == 2)
    wide, high = Image.open(io.BytesIO(figures[2].png)).size
    assert wide / high == pytest.approx(spaces * BETWEEN / 3, rel=0.05)
    assert len(Pictures(6, 5, interpolations=0)(subject_of(Between(flow), num_samples=10))) == 2


def test_settings():
    assert (columns(64, stacked=True), columns(64, stacked=False), columns(3, stacked=False)) == (4, 11, 3)
    for argument, value in (("samples", 0), ("reconstructions", 0), ("interpolations", -1)):
        with pytest.raises(UsageError, match=rf"Pictures\.{argument}={value}"):
            Pictures(**{argument: value})
