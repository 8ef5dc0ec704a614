"""Many batches are computed by one graph and on all devices, and give what they give one by one."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.contract import Contract
from tfade.evaluation import batched
from tfade.evaluation.batched import FEW, Batched
from tfade.evaluation.features.classifier import Classifier
from tfade.evaluation.features.classifier_network import build_network
from tfade.evaluation.sampling import Sampler
from tfade.evaluation.subject import Subject


class Calls:
    """A function of a batch that counts how often Python runs it, and notes where."""

    def __init__(self):
        self.count, self.devices = 0, []

    def __call__(self, x, more):
        self.count += 1
        result = tf.random.stateless_uniform(tf.shape(x), (1, 2)) + x * more["factor"]
        self.devices.append(result.device)
        return result


def make_batches(sizes):
    data = np.arange(sum(sizes), dtype=np.float32)
    return [(part, {"factor": np.float32(3)}) for part in np.split(data, np.cumsum(sizes)[:-1])]


@pytest.fixture
def two_devices(monkeypatch):
    names = tuple(device.name for device in tf.config.list_logical_devices("CPU"))
    monkeypatch.setattr(batched, "devices", lambda: names)
    return names


def results(function, sizes):
    batches = make_batches(sizes)
    return [np.asarray(each) for each in Batched(function)(batches, len(batches))]


def test_a_graph_gives_what_single_calls_give():
    sizes = [7] * (FEW + 3) + [2]
    calls, alone = Calls(), Calls()
    together = results(calls, sizes)
    assert calls.count == 2  # the trace, and the short batch as it is written
    for found, batch in zip(together, make_batches(sizes), strict=True):
        np.testing.assert_array_equal(found, alone(*batch))


def test_few_batches_are_not_traced():
    calls = Calls()
    results(calls, [7] * FEW)
    assert calls.count == FEW


def test_several_devices_take_a_batch_each(two_devices):
    sizes = [7] * (FEW + 3)  # an odd number: the last group is filled up
    calls = Calls()
    together = results(calls, sizes)
    assert calls.count == 2  # one trace on each device
    assert calls.devices == list(two_devices)
    for found, batch in zip(together, make_batches(sizes), strict=True):
        np.testing.assert_array_equal(found, Calls()(*batch))


def test_what_cannot_be_traced_runs_as_it_is_written():
    def function(x, more):
        return np.asarray(x) + 1

    found = results(function, [7] * (FEW + 2))
    np.testing.assert_array_equal(np.concatenate(found), np.arange(7 * (FEW + 2)) + 1)


def test_errors_are_those_of_the_code_as_it_is_written():
    def function(x, more):
        raise ValueError("something is wrong with x")

    with pytest.raises(ValueError, match=r"^something is wrong with x$"):
        results(function, [7] * (FEW + 2))


@pytest.mark.parametrize("devices", [1, 2])
def test_noise_that_is_not_tensorflows_is_not_frozen(source, devices, monkeypatch, two_devices):
    monkeypatch.setattr(batched, "devices", lambda: two_devices[:devices])

    class OfNumPy(Contract):
        def __init__(self):
            self.generator = np.random.default_rng(0)

        def sample(self, n, temperature=1.0, seed=None, labels=None):
            return tf.constant(self.generator.random((n, 16, 16, 3), np.float32)) * temperature

    settings = {"num_samples": 8 * FEW + 3, "batch_size": 8, "progress": lambda line: None}
    samples = Subject(OfNumPy(), source, source, **settings).samples
    assert len(np.unique(samples, axis=0)) == len(samples)


def test_samples_and_features_do_not_depend_on_the_devices(make_model, source, monkeypatch, two_devices):
    """A sampler with more batches than are worth a trace, on one device, on two, and batch by batch."""
    model, classifier = make_model(), Classifier(build_network((16, 16, 3), 10, 0), {"data": "x", "accuracy": 1.0})
    settings = {"num_samples": 8 * FEW + 3, "batch_size": 8, "extractor": classifier, "progress": lambda line: None}
    several = Subject(model, source, source, **settings)
    drawn, features = several.samples, several.extracted_samples.features
    monkeypatch.setattr(batched, "devices", lambda: (None,))
    alone = Subject(model, source, source, **settings)
    np.testing.assert_array_equal(drawn, alone.samples)
    np.testing.assert_array_equal(features, alone.extracted_samples.features)
    sampler = Sampler(model, source, num_samples=8, batch_size=8, seed=0, temperature=1.0, progress=lambda line: None)
    first = np.asarray(sampler.batch(0))
    np.testing.assert_allclose(drawn[:8], np.round(255 * first), atol=1)
