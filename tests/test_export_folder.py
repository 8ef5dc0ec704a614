"""An export replaces an earlier export and nothing else; served samples check their arguments."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.export import export


@pytest.fixture(scope="module")
def model():
    import functools

    from tfade.models.gan import GAN
    from tfade.networks.dcgan import DCGANDiscriminator, DCGANGenerator

    return GAN(
        (16, 16, 1),
        3,
        functools.partial(DCGANGenerator, width=2),
        functools.partial(DCGANDiscriminator, width=2, normalization=None),
        penalty=None,
    )


def test_only_what_an_export_wrote_is_replaced(model, tmp_path):
    folder = tmp_path / "export"
    export(model, folder)
    export(model, folder)
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds thesis\.tex, which no export wrote"):
        export(model, folder)
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_another_program_s_saved_model_is_left_alone(model, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "theirs"))
    with pytest.raises(UsageError, match=r"saved_model\.pb"):
        export(model, tmp_path / "theirs")
    assert (tmp_path / "theirs" / "saved_model.pb").is_file()


@pytest.mark.every(2)
@pytest.mark.parametrize(("n", "temperature"), [(0, 1.0), (-3, 1.0), (10**9, 1.0), (2, np.nan), (2, -1.0), (2, np.inf)])
def test_served_samples_check_their_arguments(model, tmp_path_factory, n, temperature):
    folder = tmp_path_factory.getbasetemp() / "served"
    if not folder.exists():
        export(model, folder)
    served = tf.saved_model.load(str(folder)).signatures["sample"]
    arguments = {"n": tf.constant(n), "temperature": tf.constant(temperature), "seed": tf.constant(1, tf.int64)}
    with pytest.raises(tf.errors.InvalidArgumentError):
        served(**arguments)
