"""A SavedModel of a model that runs where only TensorFlow is installed."""

import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from tfade import numerics
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel


def export(model: GenerativeModel, folder: str | Path) -> list[str]:
    """Writes a SavedModel with one signature for each question the model answers.

    Signatures (images are float32 [batch, H, W, C] in [0, 1], or uint8 under the same name with suffix "_uint8"; models
    of vectors take and give `images` of float32 [batch, D]):

        sample(n int32, temperature float32, seed int64) → images      also `serving_default`
        sample_from_latents(latents float32 [batch, Z]) → images
        encode(images) → latents (the posterior's mean, a flow's centre), and scale for Gaussian codes
        reconstruct(images) → images
        discriminate(images) → logits [batch]
        log_prob(images) → log_prob [batch], nats of the kind that `model.likelihood` says

    Batch norm is in inference mode, averaged weights are used where the run has them, and samples are a function of
    the seed alone.

    Args:
        model: a trained model.
        folder: where to; it must not exist, or hold an earlier export, which is replaced.

    Returns:
        The names of the signatures; a question that the model has no answer to has none.

    Raises:
        UsageError: `folder` holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not (
        folder.is_dir() and (not any(folder.iterdir()) or (folder / "saved_model.pb").is_file())
    ):
        raise UsageError(f"out={str(folder)!r} exists and is no earlier export; give another folder")
    module = tf.Module()
    module.variables_of_the_model = [variable.value for variable in _serving_variables(model)]
    for name, (function, signature) in _endpoints(model).items():
        traced = tf.function(function, input_signature=[tf.TensorSpec(*spec) for spec in signature])
        try:
            traced.get_concrete_function()
        except NotImplementedError:
            continue
        setattr(module, name, traced)
    names = [name for name in _endpoints(model) if hasattr(module, name)]
    signatures = {name: getattr(module, name).get_concrete_function() for name in names}
    signatures["serving_default"] = signatures["sample"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as workshop:
        # Whoever serves this folder sees an old export or a new one, never a half.
        new, old = Path(workshop) / "new", Path(workshop) / "old"
        tf.saved_model.save(module, str(new), signatures=signatures)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    return [*names, "serving_default"]


def _endpoints(model: GenerativeModel) -> dict:
    """name → (function, its arguments as (shape, dtype, name))."""
    shape = (None, *model.image_shape)

    def encode(images):
        scale = {"scale": model.encode(images).stddev()} if getattr(model, "stochastic_codes", False) else {}
        return {"latents": model.codes(images), **scale}

    on_images = {
        "encode": encode,
        "reconstruct": lambda images: {"images": model.reconstruct(images)},
        "discriminate": lambda images: {"logits": model.discriminate(images)},
        "log_prob": lambda images: {"log_prob": model.log_prob(images)},
    }
    endpoints = {
        "sample": (
            lambda n, temperature, seed: {"images": model.sample(n, temperature, seed)},
            [((), tf.int32, "n"), ((), tf.float32, "temperature"), ((), tf.int64, "seed")],
        )
    }
    if hasattr(model, "latent_size"):
        endpoints["sample_from_latents"] = (
            lambda latents: {"images": model.decode(latents)},
            [((None, model.latent_size), tf.float32, "latents")],
        )
    for name, function in on_images.items():
        endpoints[name] = (function, [(shape, tf.float32, "images")])
        if len(model.image_shape) == 3:
            endpoints[f"{name}_uint8"] = (_from_levels(function), [(shape, tf.uint8, "images")])
    return endpoints


def _from_levels(function):
    return lambda images: function(numerics.to_unit(images))


def _serving_variables(model: GenerativeModel) -> list[keras.Variable]:
    return [variable for name in model.networks for variable in model.network(name).variables]
