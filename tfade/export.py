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

        sample(n int32, temperature float32, seed int64) → images
        sample_from_latents(latents float32 [batch, Z]) → images
        encode(images) → latents (the posterior's mean, a flow's centre), and scale for Gaussian codes
        reconstruct(images) → images
        translate(images) → images of the second domain, and translate_back
        discriminate(images) → logits [batch]
        log_prob(images) → log_prob [batch], nats of the kind that `model.likelihood` declares

    Those of a conditional model take labels int32 [batch] besides. The first one is also `serving_default`.

    Batch norm is in inference mode, averaged weights are used where the run has them, and samples are a function of
    the seed alone.

    Args:
        model: a trained model.
        folder: where to; it must not exist, or hold an earlier export, which is replaced.

    Returns:
        The names of the signatures; a question that the model does not answer has none.

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
    endpoints = _endpoints(model)
    if not endpoints:
        raise UsageError(f"{type(model).__name__} answers no question that could be exported")
    signatures = {}
    for name, (function, signature) in endpoints.items():
        traced = tf.function(function, input_signature=[tf.TensorSpec(*spec) for spec in signature])
        signatures[name] = traced.get_concrete_function()
        setattr(module, name, traced)
    names = list(signatures)
    signatures["serving_default"] = signatures[names[0]]
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
    """name → (function, its arguments as (shape, dtype, name)), of every question that the model answers."""
    labels = [((None,), tf.int32, "labels")] if model.conditional else []
    endpoints = {}
    if model.answers("sample"):
        scalars = [((), tf.int32, "n"), ((), tf.float32, "temperature"), ((), tf.int64, "seed")]
        endpoints["sample"] = (
            lambda n, temperature, seed, *labels: {"images": model.sample(n, temperature, seed, *labels)},
            scalars + labels,
        )
    if model.answers("decode") and model.latent_size is not None:
        latents = ((None, model.latent_size), tf.float32, "latents")
        endpoints["sample_from_latents"] = (
            lambda latents, *labels: {"images": model.decode(latents, *labels)},
            [latents, *labels],
        )
    for question, function in _on_images(model).items():
        if not model.answers(question):
            continue
        spec = model.spec.other if question == "translate_back" else model.spec
        shape, more = (None, *spec.shape), [] if question.startswith("translate") else labels
        endpoints[question] = (function, [(shape, tf.float32, "images"), *more])
        if spec.is_image:
            endpoints[f"{question}_uint8"] = (_from_levels(function), [(shape, tf.uint8, "images"), *more])
    return endpoints


def _on_images(model: GenerativeModel) -> dict:
    """question → function of images, and of labels where the model is conditional."""

    def encode(images, *labels):
        scale = {"scale": model.encode(images, *labels).stddev()} if model.gaussian_codes else {}
        return {"latents": model.codes(images, *labels), **scale}

    return {
        "encode": encode,
        "reconstruct": lambda images, *labels: {"images": model.reconstruct(images, *labels)},
        "translate": lambda images: {"images": model.translate(images)},
        "translate_back": lambda images: {"images": model.translate_back(images)},
        "discriminate": lambda images, *labels: {"logits": model.discriminate(images, *labels)},
        "log_prob": lambda images, *labels: {"log_prob": model.log_prob(images, 1, *labels)},
    }


def _from_levels(function):
    return lambda images, *labels: function(numerics.to_unit(images), *labels)


def _serving_variables(model: GenerativeModel) -> list[keras.Variable]:
    return [variable for name in model.networks for variable in model.network(name).variables]
