"""What is done to every model of the suite in small (`cases`): data, training, questions, exports, variables."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tests.helpers import traced_once
from tests.models.cases import Case
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.models.base import GenerativeModel
from tfade.models.optimization import Optimization
from tfade.spec import Batch
from tfade.training import strategy

part = functools.partial


SIZE = 8  # of a batch


@functools.cache
def source(domain: str) -> ArraySource:
    """48 scans of digits, every second pixel, uint8 [48, 8, 8, 1], or vectors [48, 3]; the other domain is coloured."""
    images = digits("train").fetch(np.arange(48))[:, ::2, ::2]
    labels = digits("train").labels(np.arange(48))
    if domain == "other":
        return ArraySource("coloured", "train", np.concatenate([images, images[:, ::-1], 255 - images], -1)[::-1])
    if domain == "vectors":
        return ArraySource("vectors", "train", np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32))
    found = ArraySource("small digits", "train", images, labels, 10)
    if domain == "two domains":
        found.spec = dataclasses.replace(found.spec, other=source("other").spec)
    return found


def batch_of(case: Case, step: int, fields, size: int = SIZE) -> dict[str, np.ndarray]:
    """The fields of the global batch of a step."""
    data, rows = source(case.domain), (step * size + np.arange(size)) % 48
    batch = {"images": data.fetch(rows), "index": rows}
    if "labels" in fields:
        batch["labels"] = data.labels(rows)
    if "other" in fields:
        batch["other"] = source("other").fetch(rows)
    return {field: batch[field] for field in fields}


# ---- Training ----


def optimizer(player: str, of_stage=None) -> keras.Optimizer:
    """Adam with slots and a large ε, so that an update is about linear in the gradient: its scale matters."""
    return keras.optimizers.Adam(0.03, epsilon=1.0)


def built(case: Case, devices: int = 1, seed: int = 3, make_optimizer=optimizer) -> GenerativeModel:
    """The compiled model, its weights off their initial values, and an average of its first trainable network."""
    chosen = strategy.make_strategy(devices=devices)
    with chosen.scope():
        keras.utils.set_random_seed(seed)
        model = case.kind(source(case.domain).spec)
        generator = np.random.default_rng(seed)
        for variable in model.trainable_variables:
            variable.assign_add(0.1 * generator.normal(size=variable.shape))
        averaged = next(name for name, network in model.networks.items() if network.trainable_variables)
        optimization = Optimization(case.schedule, average_decay={averaged: 0.5})
        with traced_once(id(case)):
            model.compile(make_optimizer, optimization, seed=5, stages=case.stages)
        model.initialise(Batch.of(batch_of(case, 0, model.fields)))
        model.averages.restart()
    return model


def step(model: GenerativeModel, case: Case, number: int) -> dict[str, float]:
    """One training step, as it is written; what it reports."""
    chosen, batch = model.distribute_strategy, batch_of(case, number, model.fields)

    def share(context):
        parts = {name: np.array_split(values, context.num_replicas_in_sync) for name, values in batch.items()}
        return {name: tf.constant(values[context.replica_id_in_sync_group]) for name, values in parts.items()}

    logs = chosen.run(model.train_step, (chosen.experimental_distribute_values_from_function(share),))
    return {name: float(chosen.experimental_local_results(value)[0]) for name, value in logs.items()}


def train(model: GenerativeModel, case: Case, until: int) -> dict[str, float]:
    """Trains up to a step, through the stages; what the last step reports, over the interval."""
    logs = {}
    while int(model.step.numpy()) < until:
        if model.stage.fit:
            model.stage.fit(model, source(case.domain))
        else:
            logs = step(model, case, int(model.step.numpy()))
        end = sum(stage.steps for stage in case.stages[: model._stage + 1])
        if case.stages and int(model.step.numpy()) == end:
            model.finish_stage()
    return logs


def trainable(model: GenerativeModel) -> dict[str, keras.Variable]:
    """The variables that players move, by their names in the state."""
    known = {id(v): name for name, v in model.state().items() if name.partition("/")[0] in model.networks}
    return {known[id(v)]: v for network in model.networks.values() for v in network.trainable_variables}


# ---- Questions ----


class Inputs(NamedTuple):
    """What questions are asked about.

    Attributes:
        x: examples; z: latents; y: examples of the other domain.
        condition: the argument `labels` of a conditional model.
    """

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    condition: Mapping


def inputs(model: GenerativeModel, case: Case, size: int = 7) -> Inputs:
    """Seven examples, or a part of them."""
    fields = ["images", *(["labels"] if model.conditional else []), *(["other"] if model.spec.other else [])]
    batch = {name: values[:size] for name, values in batch_of(case, 2, fields, 7).items()}
    z = np.random.default_rng(1).normal(size=(7, model.latent_size or 1)).astype(np.float32)
    condition = {"labels": tf.constant(batch["labels"])} if model.conditional else {}
    return Inputs(batch["images"], z[:size], batch.get("other"), condition)


# question → its answer on given inputs
ASK = {
    "sample": lambda model, given: model.sample(len(given.z), 0.7, 3, **given.condition),
    "prior": lambda model, given: model.prior(0.7).sample(len(given.z), seed=(1, 2)),
    "encode": lambda model, given: model.encode(given.x, **given.condition).sample(seed=(1, 2)),
    "codes": lambda model, given: model.codes(given.x, **given.condition),
    "decode": lambda model, given: model.decode(given.z, **given.condition),
    "reconstruct": lambda model, given: model.reconstruct(given.x, **given.condition),
    "interpolate": lambda model, given: model.interpolate(given.x, given.x[::-1], 3, **given.condition),
    "translate": lambda model, given: model.translate(given.x),
    "translate_back": lambda model, given: model.translate_back(given.y),
    "discriminate": lambda model, given: model.discriminate(given.x, **given.condition),
    "classify": lambda model, given: model.classify(given.x),
    "log_prob": lambda model, given: model.log_prob(given.x, **given.condition),
    "log_density": lambda model, given: model.log_density(model.unit(given.x)),
    "observation": lambda model, given: model.observation(given.z).sample(seed=(1, 2)),
    "to_observation": lambda model, given: model.to_observation(given.x)[0],
    "to_image": lambda model, given: model.to_image(model.unit(given.x)),
    "log_likelihood": lambda model, given: model.log_likelihood(given.x, given.z),
}


def answers(model: GenerativeModel, given: Inputs) -> dict[str, np.ndarray]:
    """Everything that the model answers."""
    return {name: np.asarray(ask(model, given)) for name, ask in ASK.items() if model.answers(name)}


# signature of an export → its output, and the question that it answers
SIGNATURES = {
    "sample": ("images", "sample"),
    "sample_from_latents": ("images", "decode"),
    "encode": ("latents", "codes"),
    "reconstruct": ("images", "reconstruct"),
    "translate": ("images", "translate"),
    "translate_back": ("images", "translate_back"),
    "discriminate": ("logits", "discriminate"),
    "classify": ("log_probabilities", "classify"),
    "log_prob": ("log_prob", "log_prob"),
}


def served(function, name: str, given) -> dict[str, np.ndarray]:
    """What a signature of an export returns."""
    images = given.y if name.startswith("translate_back") else given.x
    values = {"n": len(given.z), "temperature": 0.7, "seed": 3, "latents": given.z, "images": images}
    values |= given.condition
    arguments = {}
    for argument, spec in function.structured_input_signature[1].items():
        levels = argument == "images" and images.dtype == np.uint8 and spec.dtype == tf.float32
        arguments[argument] = tf.constant(images / np.float32(255) if levels else values[argument], spec.dtype)
    return {output: value.numpy() for output, value in function(**arguments).items()}
