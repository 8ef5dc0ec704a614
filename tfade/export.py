"""A SavedModel of a model that runs where only TensorFlow is installed."""

import json
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from tfade import files, numerics
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel

MARKER = "tfade_export.json"  # names the entries of an export, which the next one may replace
MOST_SAMPLES = 100_000  # of one call of an exported `sample`


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
    _require_replaceable(folder)
    module = tf.Module()
    module.variables_of_the_model = [variable.value for variable in _serving_variables(model)]
    endpoints = _endpoints(model)
    if not endpoints:
        raise UsageError(f"{type(model).__name__} answers no question that could be exported")
    for name, function in endpoints.items():
        setattr(module, name, function)
    signatures = {name: function.get_concrete_function() for name, function in endpoints.items()}
    names = list(signatures)
    signatures["serving_default"] = signatures[names[0]]
    workshop = files.temporary(folder)
    workshop.mkdir()
    try:
        # Whoever serves this folder sees an old export or a new one, never a half.
        new, old = workshop / "new", workshop / "old"
        tf.saved_model.save(module, str(new), signatures=signatures)
        files.write_json(new / MARKER, {"entries": sorted([MARKER, *(path.name for path in new.iterdir())])})
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return [*names, "serving_default"]


def _require_replaceable(folder: Path) -> None:
    """Rejects a folder that holds anything that no export of ours wrote."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"out={str(folder)!r} is a file; give a folder")
    present = {path.name for path in folder.iterdir()}
    try:
        ours = set(json.loads((folder / MARKER).read_text(encoding="utf-8"))["entries"])
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if strange := sorted(present - ours):
        named = f"{', '.join(strange[:5])}{' …' if len(strange) > 5 else ''}"
        raise UsageError(f"out={str(folder)!r} holds {named}, which no export wrote; give another folder")


def _endpoints(model: GenerativeModel) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """The functions of every question that the model answers, by signature."""
    labels = [((None,), tf.int32, "labels")] if model.conditional else []
    endpoints = {}
    if model.answers("sample"):
        scalars = [((), tf.int32, "n"), ((), tf.float32, "temperature"), ((), tf.int64, "seed")]

        def sample(n, temperature, seed, *labels):
            checks = (
                tf.debugging.assert_positive(n, "n is not positive"),
                tf.debugging.assert_less_equal(n, MOST_SAMPLES, f"n is above {MOST_SAMPLES}"),
                tf.debugging.Assert(tf.math.is_finite(temperature), ["temperature is not finite", temperature]),
                tf.debugging.assert_non_negative(temperature, "temperature is negative"),
            )
            with tf.control_dependencies([check for check in checks if check is not None]):
                return {"images": model.sample(tf.identity(n), tf.identity(temperature), seed, *labels)}

        endpoints["sample"] = _function(sample, scalars + labels)
    if model.answers("decode") and model.latent_size is not None:
        endpoints["sample_from_latents"] = _function(
            lambda latents, *labels: {"images": model.decode(latents, *labels)},
            [((None, model.latent_size), tf.float32, "latents"), *labels],
        )
    for question, function in _on_images(model).items():
        if not model.answers(question):
            continue
        spec = model.spec.other if question == "translate_back" else model.spec
        shape, more = (None, *spec.shape), [] if question.startswith("translate") else labels
        endpoints[question] = _function(function, [(shape, tf.float32, "images"), *more])
        if spec.is_image:
            of_levels = _from_levels(endpoints[question])
            endpoints[f"{question}_uint8"] = _function(of_levels, [(shape, tf.uint8, "images"), *more])
    return endpoints


def _function(function, arguments) -> tf.types.experimental.PolymorphicFunction:
    """A function to export; `arguments` are (shape, dtype, name)."""
    return tf.function(function, input_signature=[tf.TensorSpec(*argument) for argument in arguments])


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
