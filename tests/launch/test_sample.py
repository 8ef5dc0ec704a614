"""`launch.sample` and `launch.jacobian` on a conditional model."""

import gin
import numpy as np
import pytest
import tensorflow as tf

from launch import jacobian, sample
from tests.helpers import fails, run, write_run
from tfade.models.latent import LatentVariableModel
from tfade.models.players import Player
from tfade.networks.dcgan import DCGANGenerator


@gin.register(module="tests")
class ClassGenerator(LatentVariableModel):
    """Images from latents and a class, pulled to the data."""

    conditional, fields = True, ("images", "labels")

    def __init__(self, spec):
        super().__init__(spec, latent_size=3)
        inputs = self.latent_size + self.condition_size
        self.add_network("decoder", lambda: DCGANGenerator(self.image_shape, inputs, width=2))

    def players(self):
        return (Player("decoder", self.networks["decoder"]),)

    def losses(self, batch, seeds):
        z = self.conditioned(self.prior_sample(seeds, batch.size), batch.labels)
        error = self.networks["decoder"](z, training=True) - self.network_input(batch.images)
        return {"decoder": {"error": tf.reduce_mean(error**2, (1, 2, 3))}}


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory):
    """A run of it, as no step at all would leave it."""
    lines = ["Recipe.model = @ClassGenerator", "Recipe.data = 'digits'", "Recipe.steps = 1"]
    return write_run(tmp_path_factory.mktemp("conditional") / "run", [], [*lines, "Recipe.batch_size = 8"]).path


def test_samples_by_class(conditional_run, tmp_path, capsys):
    out = tmp_path / "a.npz"
    flags = [f"--run_dir={conditional_run}", f"--out={out}", "--num_samples=6", "--label=7,2", "--label=7"]
    assert run(sample.main, flags) == 0
    assert f"samples: {out} (6)" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(out)["labels"], [7, 7, 7, 2, 2, 2])
    assert run(sample.main, [f"--run_dir={conditional_run}", f"--out={out}"]) == 0
    assert len(np.load(out)["images"]) == 80
    picture = tmp_path / "x.png"
    fails(capsys, sample.main, [f"--run_dir={conditional_run}", f"--out={picture}", "--label=10"], "label=10", "0 to 9")
    fails(capsys, sample.main, [f"--run_dir={conditional_run}", f"--out={picture}", "--label=x"], "--label", "'x'")
    assert not picture.exists()


def test_jacobians_of_one_class(conditional_run, tmp_path, capsys):
    flags = [f"--run_dir={conditional_run}", f"--out={tmp_path}", "--num_codes=2"]
    fails(capsys, jacobian.main, flags, "label=None", "is conditional")
    assert run(jacobian.main, [*flags, "--label=3"]) == 0
    assert '"label": 3' in (tmp_path / "jacobian.json").read_text()
