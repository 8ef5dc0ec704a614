"""No value that is not finite is ever saved, and the error names what and where."""

import errno

import numpy as np
import pytest

from tests.helpers import train_here
from tfade import files, pictures
from tfade.data.source import ArraySource
from tfade.errors import NonFiniteError, UsageError
from tfade.training import checkpoints, optimizers
from tfade.training.callbacks import Validation
from tfade.training.checkpoints import Checkpoints


def test_a_state_with_nan_is_not_saved(tmp_path):
    store = Checkpoints(tmp_path)
    store.save(1, {"a": np.ones(2)})
    with pytest.raises(NonFiniteError, match=r"b is not finite, so step-000000002\.npz"):
        store.save(2, {"a": np.ones(2), "b": np.array([1.0, np.nan])})
    with pytest.raises(NonFiniteError):
        store.save_best(2, "m", 1.0, {"b": np.array(np.inf)})
    assert store.steps() == [1]
    assert not (tmp_path / "best.npz").exists()


def test_weights_that_the_last_update_spoils_are_not_saved(tmp_path, capsys):
    bindings = ("make_optimizer.optimizer = @sgd", "sgd.learning_rate = 3e38", "steps = 1", "Visualisation.samples = 0")
    assert train_here(tmp_path / "run", *bindings) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "validation/nll is nan" in error
    assert "the weights after the last update are not finite" in error
    assert not list((tmp_path / "run" / "checkpoints").glob("*.npz"))


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (optimizers.adam, {"epsilon": 0.0}),
        (optimizers.adam, {"epsilon": 1e-60}),
        (optimizers.adam, {"beta_1": 1.0}),
        (optimizers.adamax, {"beta_2": -0.1}),
        (optimizers.rmsprop, {"rho": 2.0}),
        (optimizers.sgd, {"momentum": float("nan")}),
        (optimizers.adam, {"learning_rate": 1e39}),
    ],
)
def test_optimizers_reject_what_ends_in_nan(make, arguments):
    (name,) = arguments
    with pytest.raises(UsageError, match=name):
        make(**arguments)


def test_nan_in_a_validation_split_is_named(make_model):
    class Broken:
        fields = ("images",)

        def validate(self, batch):
            return {"nll": np.array([1.0, np.nan])}

    callback = Validation(ArraySource("mine", "validation", np.zeros((2, 4, 4, 1), np.uint8)))
    callback.set_model(Broken())
    with pytest.raises(NonFiniteError, match=r"validation/nll is nan on the validation split of data='mine'"):
        callback.on_epoch_end(0, {})


@pytest.mark.full("a disk that is really full is tested in launch/test_paths.py")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("place", ["history.csv", "step-000000006.npz", "samples-000000006.png"])
def test_a_full_disk_is_one_line_with_the_last_good_state(tmp_path, capsys, monkeypatch, place):
    write = files.write_atomically

    def full(path, content):
        if str(path).endswith(place):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    for module in (files, checkpoints.files, pictures.files):
        monkeypatch.setattr(module, "write_atomically", full)
    if place == "history.csv":  # the first interval's is there; the second one's finds the disk full
        written = []
        monkeypatch.setattr(
            files,
            "write_text",
            lambda path, text: (
                full(path, None)
                if written and str(path).endswith(place)
                else (
                    written.append(path) if str(path).endswith(place) else None,
                    write(path, lambda f: f.write(text.encode())),
                )
            ),
        )
    assert train_here(tmp_path / "run") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert place in error
    assert "No space left on device" in error
    assert "step-000000003.npz" in error
