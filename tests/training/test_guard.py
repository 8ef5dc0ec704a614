"""A step that is not finite stops the run, says what and when, and spares the last good checkpoint."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import newest_state, train_here
from tfade.errors import NonFiniteError
from tfade.training.callbacks import FiniteGuard


def test_training_that_diverges_stops_with_a_name_and_a_step(tmp_path, capsys, eager):
    # The rate rises far beyond reason after the first checkpoint.
    run = tmp_path / "diverging"
    schedule = (
        "adam.learning_rate = @StepDecay()",
        "StepDecay.initial = 1e-4",
        "StepDecay.every = 3",
        "StepDecay.factor = 1e30",
    )
    status = train_here(run, "Recipe.interval = 3", "steps = 30", "Visualisation.samples = 0", *schedule)
    captured = capsys.readouterr()
    assert status == 1
    assert captured.err.startswith("error: step ")
    assert len(captured.err.strip().splitlines()) == 1
    report = json.loads((run / "nonfinite.json").read_text())
    assert f"step {report['step']}: " in captured.err
    assert report["offending"]
    for name in report["offending"]:
        assert name.split("/")[0] == "autoencoder"
    assert any(name in captured.err for name in report["offending"])
    assert "step-000000003.npz" in captured.err
    assert int(newest_state(run)["step"]) == 3
    assert all(np.isfinite(value).all() for value in newest_state(run).values())


def poisoned(model, term, value):
    """The model with one term's value replaced."""
    losses = model.losses

    def with_poison(x, seeds):
        result = losses(x, seeds)
        player, name = term
        result[player][name] = value(result[player][name])
        return result

    model.losses = with_poison
    return model


@pytest.mark.every(2)
@pytest.mark.parametrize(
    ("value", "text"),
    [(lambda v: v * float("nan"), "nan"), (lambda v: v + float("inf"), "inf")],
)
def test_the_offending_term_is_named(make_model, images, tmp_path, value, text):
    model = poisoned(make_model(), ("discriminator", "real"), value)
    guard = FiniteGuard(tmp_path / "nonfinite.json", lambda: "Last good: here. ")
    guard.begin(41)
    guard.set_model(model)
    with pytest.raises(NonFiniteError, match=f"step 42: discriminator/real is {text}.*Last good: here"):
        guard.on_train_batch_end(0, model.train_step(tf.constant(images)))
    offending = json.loads((tmp_path / "nonfinite.json").read_text())["offending"]
    assert offending["discriminator/real"] == text
    assert not any(name.startswith("code_discriminator") for name in offending)


def test_a_gradient_that_is_not_finite_is_named_where_the_loss_is_finite(make_model, images, tmp_path):
    root = lambda v: tf.sqrt(v - tf.stop_gradient(v))  # zero, with an infinite derivative
    model = poisoned(make_model(), ("discriminator", "real"), root)
    guard = FiniteGuard(tmp_path / "nonfinite.json")
    guard.set_model(model)
    with pytest.raises(NonFiniteError, match="step 1: discriminator/gradient_norm is (nan|inf)"):
        guard.on_train_batch_end(0, model.train_step(tf.constant(images)))


def test_finite_training_passes(make_model, images, tmp_path):
    model = make_model()
    guard = FiniteGuard(tmp_path / "nonfinite.json")
    guard.set_model(model)
    guard.on_train_batch_end(0, model.train_step(tf.constant(images)))
    assert not (tmp_path / "nonfinite.json").exists()
