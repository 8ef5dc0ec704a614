"""A SavedModel of a model that runs where only TensorFlow is installed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tfade import files, numerics
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel

MARKER = "tfade_export.json"  # names the entries of an export, which the next one may replace
MOST_SAMPLES = 100_000  # of one call of an exported `sample`


def export(model: GenerativeModel, folder: str | Path) -> list[str]:
    """Writes a SavedModel with a signature for each of these questions that the model answers.

    Signatures (images are float32 [batch, H, W, C] in [0, 1], or uint8 under the same name with suffix "_uint8"; models
    of vectors take and give `images` of float32 [batch, D]):

        sample(n int32, temperature float32, seed int64) → images
        sample_from_latents(latents float32 [batch, Z]) → images
        encode(images) → latents (the posterior's mean, a flow's centre), and scale for Gaussian codes
        reconstruct(images) → images
        translate(images) → images of the second domain, and translate_back
        discriminate(images) → logits [batch], or the unbounded output (Wasserstein) or minus the error (BEGAN)
        classify(images) → log_probabilities [batch, classes], nats
        log_prob(images) → log_prob [batch], nats of the kind that `model.likelihood` declares

    Those of a conditional model take labels int32 [batch] besides. The first one is also `serving_default`. Its
    temperature is the factor on the prior's standard deviation: √τ for p^(1/τ), exact or not as in `Contract.sample`.

    A served call checks what the live model checks, and fails with InvalidArgumentError: images of another shape (a
    single one has a batch of 1), floats outside [0, 1] or NaN, latents of another dimension, unknown classes, n outside
    1 to 100,000, a negative temperature.

    Served images and latents are the live model's to 1e-5, and nats to 1e-5 of their value: other batches and other
    kernels round differently.

    Batch norm is in inference mode, averaged weights are used where the run has them, and samples are a function of
    the seed alone.

    Args:
        model: a trained model.
        folder: where to; it must not exist, or hold an earlier export, which is replaced.

    Returns:
        The names of the signatures; a question that the model does not answer has none.

    Raises:
        UsageError: `folder` holds something else, or the model answers none of these questions.
    """
    folder = Path(folder)
    _require_replaceable(folder)
    module = tf.Module()
    endpoints = _endpoints(model)
    if not endpoints:
        raise UsageError(f"{type(model).__name__} answers no question that could be exported")
    signatures = {name: function.get_concrete_function() for name, function in endpoints.items()}
    module.captured = list({id(v): v for function in signatures.values() for v in function.variables}.values())
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
            return {"images": model.sample(n, temperature, seed, *labels)}

        endpoints["sample"] = _function(model, sample, scalars + labels)
    if model.answers("decode") and model.latent_size is not None:
        endpoints["sample_from_latents"] = _function(
            model,
            lambda latents, *labels: {"images": model.decode(latents, *labels)},
            [((None, model.latent_size), tf.float32, "latents"), *labels],
        )
    for question, function in _on_images(model).items():
        if not model.answers(question):
            continue
        spec = model.spec.other if question == "translate_back" else model.spec
        shape, more = (None, *spec.shape), [] if question.startswith(("translate", "classify")) else labels
        endpoints[question] = _function(model, function, [(shape, tf.float32, "images"), *more])
        if spec.is_image:
            of_levels = _from_levels(endpoints[question])
            endpoints[f"{question}_uint8"] = _function(model, of_levels, [(shape, tf.uint8, "images"), *more])
    return endpoints


def _function(model: GenerativeModel, function, arguments) -> tf.types.experimental.PolymorphicFunction:
    """A function to export, which checks its arguments; these are (shape, dtype, name)."""

    def served(*values):
        # A signature's shapes are not checks: without this, one image is taken for a batch of another shape.
        shapes = {name: shape for shape, _, name in arguments}
        values = [tf.ensure_shape(value, shapes[name], f"shape_of_{name}") for name, value in zip(shapes, values)]
        with tf.control_dependencies(list(_checks(model, dict(zip(shapes, values))))):
            return function(*map(tf.identity, values))

    return tf.function(served, [tf.TensorSpec(*argument) for argument in arguments], autograph=False)


def _checks(model: GenerativeModel, arguments: dict[str, tf.Tensor]) -> Iterator[tf.Operation]:
    """Assertions about the values of arguments, as the live model makes them."""

    def require(holds, message, *shown):
        return tf.debugging.Assert(tf.reduce_all(holds), [message, *shown])

    n, temperature, labels = (arguments.get(name) for name in ("n", "temperature", "labels"))
    examples = next((arguments[name] for name in ("images", "latents") if name in arguments), None)
    if n is not None:
        yield require((n >= 1) & (n <= MOST_SAMPLES), f"n must be an integer from 1 to {MOST_SAMPLES}:", n)
    if temperature is not None:
        holds = tf.math.is_finite(temperature) & (temperature >= 0)
        yield require(holds, "temperature must be finite and not negative:", temperature)
    if "images" in arguments and examples.shape.rank == 4 and examples.dtype == tf.float32:
        lowest, highest = tf.reduce_min(examples), tf.reduce_max(examples)
        remedy = "images must be floats in [0, 1], or uint8 for the signature with that suffix:"
        yield require(numerics.is_unit(examples), remedy, lowest, highest)
    if labels is not None:
        classes, count = model.spec.num_classes, n if examples is None else tf.shape(examples)[0]
        yield require((labels >= 0) & (labels < classes), f"labels must be integers from 0 to {classes - 1}:", labels)
        yield require(tf.size(labels) == count, "labels must be one for each example:", labels)


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
        "classify": lambda images: {"log_probabilities": model.classify(images)},
        "log_prob": lambda images, *labels: {"log_prob": model.log_prob(images, 1, *labels)},
    }


def _from_levels(function):
    return lambda images, *labels: function(numerics.to_unit(images), *labels)
