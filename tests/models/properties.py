"""The models of the suite in small, and what is done to every one of them: data, training, questions, variables.

A model that gin knows needs a case here: `test_properties` compares the two lists.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from tests.models import toys
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.flow_densities import IAFDensity
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.implicit import ImplicitPosterior
from tfade.distributions.logistic_mixture import LogisticMixture
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.pixels import DiscretizedLogistic
from tfade.distributions.pushforward import ImplicitDensity
from tfade.distributions.topdown import TopDownDecoder
from tfade.distributions.vae_density import VAEDensity
from tfade.flows.actnorm import ActNorm
from tfade.flows.coupling import Coupling
from tfade.flows.preprocessing import Flatten, Logit
from tfade.flows.residual import ResidualBlock
from tfade.flows.stack import Stack
from tfade.models import base
from tfade.models.aae import AAE
from tfade.models.ade import ADE
from tfade.models.avb import AVB
from tfade.models.base import GenerativeModel
from tfade.models.began import BEGAN
from tfade.models.bigan import BiGAN
from tfade.models.conditional_gan import ConditionalGAN
from tfade.models.cycle_gan import CycleGAN
from tfade.models.density import DensityModel
from tfade.models.flow import FlowModel
from tfade.models.flow_gan import FlowGAN
from tfade.models.gan import GAN
from tfade.models.glann import GLANN
from tfade.models.glf import GLF
from tfade.models.hybrid_classifier import HybridClassifier
from tfade.models.latent_density import LatentDensity
from tfade.models.optimization import Optimization
from tfade.models.pixel_cnn import PixelCNN
from tfade.models.rae import RAE
from tfade.models.stages import Stage
from tfade.models.step import checked_terms
from tfade.models.vae import VAE, ConditionalVAE, TwoStageVAE
from tfade.models.vae_gan import VAEGAN
from tfade.models.veegan import VEEGAN
from tfade.models.vgh import VGH, VGHPlusPlus
from tfade.models.wae import WAEMMD
from tfade.networks.autoencoding import AutoencodingDiscriminator
from tfade.networks.conditional import ConditionalDiscriminator, ConditionalGenerator
from tfade.networks.conditioner import LinearConditioner, MLPConditioner
from tfade.networks.discriminators import CodeDiscriminator, ConvDiscriminator, MLPDiscriminator
from tfade.networks.infogan import InfoGANDecoder, InfoGANEncoder
from tfade.networks.joint import JointDiscriminator
from tfade.networks.lipschitz import LipschitzMLP
from tfade.networks.made import MADE
from tfade.networks.mlp import LatentMapping, MLPDecoder, MLPEncoder
from tfade.networks.pixel_cnn import GatedPixelCNN
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.translation import PatchDiscriminator, ResidualTranslator
from tfade.objectives.divergences import Hinge, LogRatio, Wasserstein
from tfade.objectives.dragan import DRAGAN
from tfade.objectives.penalties import R1, GradientPenalty
from tfade.objectives.smoothness import DecoderGradient
from tfade.spec import Batch, Spec
from tfade.training import strategy

part = functools.partial
SMALL = part(MLPConditioner, width=6, depth=1)
NORMAL = part(DiagonalNormal, conditioner=LinearConditioner)
COUPLINGS = part(Stack, (part(Coupling, conditioner=SMALL),), 2)
FLOW = part(Stack, (part(Logit, 0.05), Flatten, ActNorm, COUPLINGS))
RESIDUAL = part(Stack, (part(ResidualBlock, part(LipschitzMLP, width=4, depth=1), evaluation_terms=2),))
FEATURES = part(Stack, (part(Logit, 0.05), ActNorm))
CRITIC = part(ConvDiscriminator, channels=(3,), dense=(4,))
IMAGE_NETWORKS = {"encoder": toys.ENCODER, "decoder": toys.DECODER}
CODES = part(CodeDiscriminator, width=6, depth=1)
AUTOENCODER = {**IMAGE_NETWORKS, "code_discriminator": CODES}
HYBRID = {
    **{"latent_size": 3, "encoder": toys.ENCODER, "generator": toys.DECODER, "discriminator": CRITIC},
    "code_discriminator": CODES,
}
PAIRS = part(JointDiscriminator, width=6, depth=1)
INFERENCE = {
    **{"latent_size": 3, "encoder": toys.ENCODER, "generator": toys.DECODER},
    "joint_discriminator": part(PAIRS, encoder=part(toys.ENCODER, normalization=None), features=4),
}
MLPS = {"encoder": part(MLPEncoder, width=6, depth=1), "decoder": part(MLPDecoder, width=6, depth=1)}
VECTOR_INFERENCE = {"encoder": MLPS["encoder"], "generator": MLPS["decoder"], "joint_discriminator": PAIRS}
OF_CLASSES = {
    "generator": part(ConditionalGenerator, network=toys.DECODER),
    "discriminator": part(ConditionalDiscriminator, network=CRITIC),
}
AUXILIARY = {**OF_CLASSES, "discriminator": part(ConditionalDiscriminator, network=CRITIC, auxiliary=True)}
CONDITIONAL_VAE = part(
    ConditionalVAE,
    **{"latent_size": 3, "context_size": 4, "posterior": NORMAL, "importance_samples": 2},
    **{"encoder": toys.ENCODER, "decoder": OF_CLASSES["generator"]},
)
VECTOR_GAN = {"generator": MLPS["decoder"], "discriminator": part(MLPDiscriminator, width=6, depth=1)}
TINY_AVB = part(
    AVB,
    latent_size=3,
    context_size=4,
    posterior=part(ImplicitPosterior, noise_size=2, width=6, depth=1, moments=4),
)
TINY_VAE = part(VAE, latent_size=3, context_size=4)
IMAGE_VAE = part(TINY_VAE, posterior=NORMAL, **IMAGE_NETWORKS)
HIERARCHY = part(
    TINY_VAE,
    posterior=NORMAL,
    encoder=part(BottomUpEncoder, network=toys.ENCODER),
    decoder=part(TopDownDecoder, network=toys.DECODER, channels=(1,)),
)
MASKED = part(GatedPixelCNN, width=3, depth=2, kernel_size=3)
IAF = part(IAFDensity, 1, conditioner=part(MADE, width=6), base=NORMAL)
INFOGAN = {
    "encoder": part(InfoGANEncoder, channels=(2, 3), dense=4),
    # Batch normalisation of the first layer would take away what the encoder's last bias adds.
    "decoder": part(InfoGANDecoder, channels=(2, 3), dense=4, normalization="layer"),
}
SPECTRAL = {name: part(network, spectral=True) for name, network in INFOGAN.items()}
FLOW_OF_CODES = part(FlowDistribution, COUPLINGS)
THEN_PRIOR = (Stage("autoencoder", 1, players=("autoencoder",)), Stage("density", 2, players=("prior",)))


class Case(NamedTuple):
    """A model in small.

    Attributes:
        kind: its class, or a partial of it; made with the specification of the data alone.
        domain: its data, one of `DOMAINS`.
        schedule: of its players.
        stages: of its training.
        unmoved: variables that their player's loss does not depend on, by their names in the state.
        twin: another case has the same class on the same paths, so without --full this one is neither exported nor
            restored nor taken to two replicas or half precision.
    """

    kind: Callable[[Spec], GenerativeModel]
    domain: str = "images"
    schedule: tuple | None = None
    stages: tuple[Stage, ...] = ()
    unmoved: tuple[str, ...] = ()
    twin: bool = False


CASES = {
    "BiGAN": Case(part(BiGAN, penalty=GradientPenalty, **INFERENCE)),
    "ALI of vectors": Case(part(BiGAN, latent_size=2, gaussian_codes=True, **VECTOR_INFERENCE), "vectors"),
    "VEEGAN": Case(part(VEEGAN, reconstructor_fools_discriminator=True, penalty=R1, **INFERENCE)),
    "VEEGAN of vectors": Case(part(VEEGAN, latent_size=2, **VECTOR_INFERENCE), "vectors", twin=True),
    "AAE": Case(part(AAE, latent_size=3, gaussian_codes=True, **AUTOENCODER)),
    "GAN": Case(part(GAN, latent_size=3, generator=toys.DECODER, discriminator=CRITIC)),
    "GAN of vectors": Case(
        part(GAN, latent_size=3, divergence=Hinge, penalty=None, **VECTOR_GAN),
        "vectors",
        (("discriminator",) * 2, ("generator",)),
    ),
    "DRAGAN": Case(part(GAN, latent_size=3, penalty=DRAGAN, generator=toys.DECODER, discriminator=CRITIC), twin=True),
    "BEGAN": Case(
        part(
            BEGAN,
            **{"latent_size": 3, "gain": 0.1, "generator": toys.DECODER},
            discriminator=part(AutoencodingDiscriminator, hidden_size=3, **IMAGE_NETWORKS),
        )
    ),
    "α-GAN": Case(part(VGHPlusPlus, divergence=LogRatio, code_divergence=LogRatio, **HYBRID), twin=True),
    "VAEGAN": Case(
        part(
            VAEGAN,
            **{"latent_size": 3, "feature_layer": 1, "penalty": R1},
            **{"encoder": toys.ENCODER, "generator": toys.DECODER, "discriminator": CRITIC},
        )
    ),
    "VGH": Case(part(VGH, gaussian_codes=True, **HYBRID)),
    "VGHPlusPlus": Case(part(VGHPlusPlus, penalty=R1, encoder_fools_discriminator=True, **HYBRID)),
    "VAE": Case(part(IMAGE_VAE, pixels=DiscretizedLogistic, prior=part(GaussianMixture, 2))),
    "VAE of features": Case(part(IMAGE_VAE, posterior=IAF, flow=FEATURES)),
    "VAE of vectors": Case(part(TINY_VAE, importance_samples=2, posterior=NORMAL, **MLPS), "vectors"),
    "hierarchical VAE": Case(HIERARCHY),
    "AVB": Case(
        part(
            TINY_AVB,
            **{"adaptive_contrast": True, "joint_discriminator": INFERENCE["joint_discriminator"]},
            **IMAGE_NETWORKS,
        )
    ),
    "AVB of vectors": Case(part(TINY_AVB, joint_discriminator=PAIRS, penalty=R1, **MLPS), "vectors", twin=True),
    "GLF": Case(part(GLF, latent_size=3, prior=FLOW_OF_CODES, perceptual=toys.EdgeFeatures, **INFOGAN)),
    "regularised GLF of vectors": Case(
        part(GLF, latent_size=2, prior=FLOW_OF_CODES, regularized=True, **MLPS), "vectors", twin=True
    ),
    "RAE": Case(
        part(RAE, latent_size=3, prior=part(VAEDensity, 4, 1), smoothness=DecoderGradient, **SPECTRAL),
        stages=THEN_PRIOR,
    ),
    "WAEMMD": Case(part(WAEMMD, latent_size=3, **INFOGAN)),
    "TwoStageVAE": Case(
        part(TwoStageVAE, latent_size=3, context_size=4, prior=part(VAEDensity, 4, 1), posterior=NORMAL, **INFOGAN),
        stages=THEN_PRIOR,
    ),
    "GLANN": Case(
        part(
            GLANN,
            latent_size=3,
            generator=INFOGAN["decoder"],
            prior=part(ImplicitDensity, 2, part(LatentMapping, width=4, depth=1)),
            pool=6,
            search_steps=2,
            search_starts=2,
        ),
        stages=(Stage("glo", 1, players=("generator", "codes")), Stage("imle", 2, players=("prior",))),
    ),
    "LatentDensity": Case(
        part(LatentDensity, autoencoder=IMAGE_VAE, distribution=part(GaussianMixture, 2), codes="samples")
    ),
    "PixelCNN": Case(part(PixelCNN, conditionals=part(LogisticMixture, 2), network=MASKED)),
    "ADE": Case(part(ADE, autoencoder=part(IMAGE_VAE, flow=FEATURES), discriminator=CRITIC)),
    "FlowModel": Case(part(FlowModel, flow=FLOW)),
    "FlowModel of vectors": Case(part(FlowModel, flow=COUPLINGS, prior=DiagonalNormal), "vectors"),
    "FlowModel of vectors, estimated": Case(part(FlowModel, flow=RESIDUAL), "vectors"),
    "HybridClassifier": Case(part(HybridClassifier, flow=FLOW)),
    "FlowGAN": Case(
        part(FlowGAN, flow=FLOW, discriminator=CRITIC, divergence=Wasserstein, penalty=GradientPenalty),
        # Real and generated examples add as much to the last bias, with opposite signs.
        unmoved=("discriminator/005.bias",),
    ),
    "CycleGAN": Case(
        part(
            CycleGAN,
            pool_size=11,
            translator=part(ResidualTranslator, width=2, blocks=1, halvings=1, initial_scale=None),
            discriminator=part(PatchDiscriminator, width=2, halvings=1, initial_scale=None),
        ),
        "two domains",
    ),
    "DensityModel": Case(part(DensityModel, distribution=part(GaussianMixture, 2)), "vectors"),
    "ConditionalGAN": Case(part(ConditionalGAN, latent_size=3, **OF_CLASSES)),
    "auxiliary classifier": Case(part(ConditionalGAN, latent_size=3, auxiliary_weight=1.0, penalty=None, **AUXILIARY)),
    "ConditionalVAE": Case(CONDITIONAL_VAE),
    "conditional ADE": Case(
        part(ADE, autoencoder=part(CONDITIONAL_VAE, flow=FEATURES), discriminator=OF_CLASSES["discriminator"])
    ),
    "conditional": Case(toys.ConditionalAutoencoder),
    "two stages": Case(toys.TwoStages, stages=toys.STAGES),
    "own variable": Case(part(toys.BalancedGAN, generator=toys.DECODER, discriminator=CRITIC)),
    "encoder alone": Case(toys.Embedding),
    "translator": Case(toys.Translator, "two domains"),
    "codes of examples": Case(toys.LatentOptimisation),
}

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

TERMS: dict[tuple[int, int], list[str]] = {}  # (case, stage) → the names of its terms


def optimizer(player: str, of_stage=None) -> keras.Optimizer:
    """Adam with slots and a large ε, so that an update is about linear in the gradient: its scale matters."""
    return keras.optimizers.Adam(0.03, epsilon=1.0)


@contextlib.contextmanager
def traced_once(case: Case) -> Iterator[None]:
    """Inside, `compile` traces the losses for the names of their terms the first time alone that this case is built."""

    def remembered(model, stage):
        key = id(case), model._stage
        if key not in TERMS:
            TERMS[key] = checked_terms(model, stage)
        return TERMS[key]

    with mock.patch.object(base, "checked_terms", remembered):
        yield


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
        with traced_once(case):
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
