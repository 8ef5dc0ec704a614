"""The models of the suite in small. A model that gin knows needs a case here: `test_properties` compares the lists."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from tests.models import toys
from tfade.distributions.autoregressive_pixels import AutoregressivePixels
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.flow_densities import IAFDensity
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.implicit import ImplicitPosterior
from tfade.distributions.logistic_mixture import LogisticMixture
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.pixels import Bernoulli, DiscretizedLogistic
from tfade.distributions.pushforward import ImplicitDensity
from tfade.distributions.topdown_autoregressive import AutoregressiveLevel
from tfade.distributions.topdown_levels import TopDownLevel
from tfade.distributions.vae_density import VAEDensity
from tfade.flows.actnorm import ActNorm
from tfade.flows.coupling import Coupling
from tfade.flows.preprocessing import Flatten, Logit
from tfade.flows.residual import ResidualBlock
from tfade.flows.stack import Stack
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
from tfade.models.pixel_cnn import PixelCNN
from tfade.models.rae import RAE
from tfade.models.stages import Stage
from tfade.models.vae import VAE, ConditionalPriorVAE, ConditionalVAE, TwoStageVAE
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
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.networks.translation import PatchDiscriminator, ResidualTranslator
from tfade.objectives.divergences import Hinge, LogRatio, Wasserstein
from tfade.objectives.dragan import DRAGAN
from tfade.objectives.penalties import R1, GradientPenalty
from tfade.objectives.smoothness import DecoderGradient
from tfade.spec import Spec

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
    decoder=part(TopDownDecoder, network=toys.DECODER, channels=(1,), level=TopDownLevel),
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
        unmoved=("discriminator/005.conv_discriminator/dense/bias",),
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
    "ConditionalPriorVAE": Case(part(ConditionalPriorVAE, prior=NORMAL, **CONDITIONAL_VAE.keywords)),
    "conditional ADE": Case(
        part(
            ADE,
            autoencoder=part(CONDITIONAL_VAE, flow=FEATURES),
            discriminator=OF_CLASSES["discriminator"],
            penalty=part(R1, interval=2),
            discriminates_reconstructions=True,
        )
    ),
    "conditional": Case(toys.ConditionalAutoencoder),
    "two stages": Case(toys.TwoStages, stages=toys.STAGES),
    "own variable": Case(part(toys.BalancedGAN, generator=toys.DECODER, discriminator=CRITIC)),
    "encoder alone": Case(toys.Embedding),
    "translator": Case(toys.Translator, "two domains"),
    "autoregressive levels": Case(
        part(
            TINY_VAE,
            posterior=NORMAL,
            encoder=part(BottomUpEncoder, network=toys.ENCODER),
            decoder=part(
                TopDownDecoder, network=toys.DECODER, channels=(1,), level=part(AutoregressiveLevel, network=MASKED)
            ),
        )
    ),
    "codes of examples": Case(toys.LatentOptimisation),
    "PixelVAE": Case(part(IMAGE_VAE, pixels=part(AutoregressivePixels, Bernoulli, network=MASKED, features=2))),
}
