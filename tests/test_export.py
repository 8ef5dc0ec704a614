"""The SavedModel answers as the live model does, in a process that has TensorFlow alone."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import PLAYERS, eagerly, train_here
from tfade import load_run
from tfade.errors import UsageError
from tfade.export import export

ALONE = """
import sys
for module in ("tfade", "keras", "tf_keras", "tensorflow_probability", "gin"):
    sys.modules[module] = None  # importing it fails
import numpy as np, tensorflow as tf
folder, inputs, out = sys.argv[1:]
served = tf.saved_model.load(folder).signatures
given = np.load(inputs)
sample = lambda seed, n=5: served["sample"](n=tf.constant(n), temperature=tf.constant(0.8), seed=tf.constant(seed, tf.int64))
np.savez(
    out,
    sample=sample(3)["images"], again=sample(3)["images"], other=sample(4)["images"], large=sample(2**40 + 3)["images"],
    default=served["serving_default"](n=tf.constant(5), temperature=tf.constant(0.8), seed=tf.constant(3, tf.int64))["images"],
    decoded=served["sample_from_latents"](latents=tf.constant(given["latents"]))["images"],
    levels=served["reconstruct_uint8"](images=tf.constant(given["levels"]))["images"],
    **{name: value for name in ("encode", "reconstruct", "discriminate")
       for name, value in served[name](images=tf.constant(given["images"])).items()},
)
"""


def test_the_export_equals_the_live_model(tmp_path, images):
    bindings = ("VGHPlusPlus.gaussian_codes = True", "Optimization.average_decay = {'generator': 0.5}")
    with eagerly():
        lines = (*bindings, "steps = 2", "Visualisation.samples = 0")
        assert train_here(tmp_path / "run", *lines, files=PLAYERS) == 0
    model = load_run(tmp_path / "run")
    names = export(model, tmp_path / "export")
    wanted = {"sample", "sample_from_latents", "encode", "reconstruct", "discriminate", "serving_default"}
    assert wanted <= set(names)

    latents = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    np.savez(tmp_path / "in.npz", latents=latents, levels=images, images=images / np.float32(255))
    files = [tmp_path / "export", tmp_path / "in.npz", tmp_path / "out.npz"]
    result = subprocess.run(
        [sys.executable, "-c", ALONE, *map(str, files)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    served = np.load(tmp_path / "out.npz")
    close = lambda name, live: np.testing.assert_allclose(served[name], live, atol=1e-5, err_msg=name)
    close("sample", model.sample(5, 0.8, 3))
    close("again", served["sample"])
    close("default", served["sample"])
    close("large", model.sample(5, 0.8, 2**40 + 3))
    close("decoded", model.decode(latents))
    close("latents", model.encode(images).mean())
    close("images", model.reconstruct(images))
    close("levels", model.reconstruct(images))
    close("logits", model.discriminate(images))
    close("scale", model.encode(images).stddev())
    assert np.abs(served["sample"] - served["other"]).max() > 1e-3
    assert np.abs(served["sample"] - served["large"]).max() > 1e-3
    assert np.abs(model.generator(latents, training=False) - 2 * model.decode(latents) + 1).max() > 1e-4  # averaged


@pytest.mark.full("as in test_export_folder.py")
def test_an_export_never_overwrites_something_else(make_model, tmp_path):
    model = make_model()
    export(model, tmp_path / "new")
    export(model, tmp_path / "new")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="other.*which no export wrote"):
        export(model, other)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


@pytest.mark.full("that answers belong to their example, and of exports, is tested in test_properties")
def test_batch_norm_is_in_inference_mode(make_model, images, tmp_path):
    """An image's reconstruction does not depend on its batch mates."""
    model = make_model()
    for _ in range(3):
        model.train_step(tf.constant(images))
    export(model, tmp_path / "export")
    reconstruct = tf.saved_model.load(str(tmp_path / "export")).signatures["reconstruct_uint8"]
    together = reconstruct(images=tf.constant(images))["images"]
    alone = reconstruct(images=tf.constant(images[:1]))["images"]
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)
