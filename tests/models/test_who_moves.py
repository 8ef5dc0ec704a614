"""Every recipe of VAEs, GANs and ADE, and of their conditional models: which variables each term of a loss reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from launch import common
from tests.helpers import ROOT, SPEC_BINDING, TINY, untraced
from tfade.data import load
from tfade.models.players import Weighted
from tfade.spec import Batch
from tfade.training import configuration
from tfade.training.recipe import Recipe, build_model

Terms = dict[str, set[str]]  # term → networks that it reaches
INFERENCE = {"encoder", "posterior"}
LIKELIHOOD = {"reconstruction": {*INFERENCE, "decoder", "pixels"}, "kl": INFERENCE}
WITH_FLOW = {"reconstruction": {*LIKELIHOOD["reconstruction"], "flow"}, "kl": INFERENCE, "log_det": {"flow"}}


def adversary(
    sampling: set[str], penalty: str | None = "r1", player="generator", **terms: set[str]
) -> dict[str, Terms]:
    """The terms of `player` and of the discriminator.

    Args:
        sampling: the networks that make the samples.
        penalty: the name of the discriminator's penalty; None for none.
        player: who moves them.
        terms: the player's other terms, and what they reach.
    """
    own = {name: {"discriminator"} for name in ("real", penalty) if name}
    seen = {*sampling, "discriminator"}
    return {player: {**terms, "adversarial": seen}, "discriminator": {**own, "fake": seen}}


IMPLICIT = {
    "autoencoder": {
        "reconstruction": LIKELIHOOD["reconstruction"],
        "kl": {*INFERENCE, "joint_discriminator"},
    },
    "joint_discriminator": {"real": {*INFERENCE, "joint_discriminator"}, "contrast": {"joint_discriminator"}},
}
FLOW_POSTERIORS = tuple(f"vae_{kind}_posterior" for kind in ("iaf", "maf", "rnvp"))
INFERRED, GENERATED = {"encoder", "joint_discriminator"}, {"generator", "joint_discriminator"}
OF_PAIRS = {
    "autoencoder": {"inferred_adversarial": INFERRED, "generated_adversarial": GENERATED},
    "joint_discriminator": {"real": INFERRED, "generated": GENERATED},
}
VEEGAN = {
    "reconstructor": {"reconstruction": {"encoder", "generator"}},
    "generator": {"reconstruction": {"encoder", "generator"}, "adversarial": GENERATED},
    "joint_discriminator": {"real": INFERRED, "generated": GENERATED},
}
OF_RECONSTRUCTIONS, OF_SAMPLES = {"encoder", "generator", "discriminator"}, {"generator", "discriminator"}
OF_IMAGES = {"reconstruction_adversarial": OF_RECONSTRUCTIONS, "sample_adversarial": OF_SAMPLES}
JUDGED_IMAGES = {"real": {"discriminator"}, "reconstruction": OF_RECONSTRUCTIONS, "sample": OF_SAMPLES}
OF_CODES = {"encoder", "code_discriminator"}
HYBRID = {
    "encoder": {"reconstruction": {"encoder", "generator"}, "code_adversarial": OF_CODES},
    "generator": {"reconstruction": {"encoder", "generator"}, **OF_IMAGES},
    "discriminator": JUDGED_IMAGES,
    "code_discriminator": {"real": {"code_discriminator"}, "code": OF_CODES},
}
OF_AAE = {
    "autoencoder": {"reconstruction": {"encoder", "decoder"}, "adversarial": OF_CODES},
    "code_discriminator": {"real": {"code_discriminator"}, "code": OF_CODES},
}
OF_CONDITIONAL_ADE = adversary({"decoder", "flow"}, player="autoencoder", **WITH_FLOW)
# Recipes, and those with bindings under a name of their own.
ADVERSARIAL_RECONSTRUCTOR = "veegan, adversarial reconstructor"
AUXILIARY_CLASSIFIER = "conditional_gan, auxiliary classifier"
FAKE_RECONSTRUCTIONS = "conditional_av_ade, reconstructions"
BINDINGS = {
    # Otherwise the statistics of the joint batch make every term reach every network.
    **dict.fromkeys(("bigan", "ali"), ("BiGAN.together = False",)),
    ADVERSARIAL_RECONSTRUCTOR: ("VEEGAN.reconstructor_fools_discriminator = True",),
    FAKE_RECONSTRUCTIONS: ("ADE.discriminates_reconstructions = True",),
    AUXILIARY_CLASSIFIER: ("ConditionalDiscriminator.auxiliary = True", "ConditionalGAN.auxiliary_weight = 1.0"),
}
# recipe → {player: {term: networks that it reaches}}; samples are made by the decoder and f, from codes of the prior
REACHED = {
    **dict.fromkeys(("bigan", "ali"), OF_PAIRS),
    "veegan": VEEGAN,
    ADVERSARIAL_RECONSTRUCTOR: {**VEEGAN, "reconstructor": {**VEEGAN["reconstructor"], "adversarial": INFERRED}},
    "dragan": adversary({"generator"}, "dragan"),
    "began": {
        "generator": {"reconstruction": OF_SAMPLES},
        "discriminator": {"fake": OF_SAMPLES, "real": {"discriminator"}, "convergence": set()},
    },
    **dict.fromkeys(("avb", "avb_adaptive_contrast"), IMPLICIT),
    "alpha_gan": HYBRID,
    "vae_gan": {
        "encoder": {"kl": {"encoder"}, "feature_reconstruction": OF_RECONSTRUCTIONS},
        "generator": {"feature_reconstruction": OF_RECONSTRUCTIONS, **OF_IMAGES},
        "discriminator": JUDGED_IMAGES,
    },
    "aae": OF_AAE,
    **{
        name: {"autoencoder": LIKELIHOOD}
        for name in ("vae", "vae_bernoulli", "vae_categorical", "vae_quantized_normal", "vae_discretized_logistic")
    },
    **{name: {"autoencoder": {**LIKELIHOOD, "entropy": INFERENCE, "prior": INFERENCE}} for name in FLOW_POSTERIORS},
    "iwae": {"autoencoder": {"bound": LIKELIHOOD["reconstruction"]}},
    "hvae": {"autoencoder": {**LIKELIHOOD, "kl": {*INFERENCE, "decoder"}}},
    "v_ade": {"autoencoder": WITH_FLOW},
    "av_gde": adversary({"decoder"}, player="autoencoder", **LIKELIHOOD),
    "av_ade": adversary({"decoder", "flow"}, player="autoencoder", **WITH_FLOW),
    "gan": adversary({"generator"}),
    "sngan": adversary({"generator"}, None),
    "wgan_gp": adversary({"generator"}, "gradient_penalty"),
    "conditional_gan": adversary({"generator"}),
    AUXILIARY_CLASSIFIER: {
        player: {**terms, "class": OF_SAMPLES} for player, terms in adversary({"generator"}).items()
    },
    "conditional_vae": {"autoencoder": {**LIKELIHOOD, "kl": LIKELIHOOD["kl"] | {"prior"}}},
    "conditional_av_ade": OF_CONDITIONAL_ADE,
    FAKE_RECONSTRUCTIONS: {
        player: {**terms, term: {"decoder", "flow", "discriminator"}}
        for (player, terms), term in zip(OF_CONDITIONAL_ADE.items(), ("adversarial_reconstruction", "reconstruction"))
    },
    "vgh": {
        **HYBRID,
        **{
            player: {term: networks for term, networks in HYBRID[player].items() if not term.startswith("sample")}
            for player in ("generator", "discriminator")
        },
    },
    "vgh_pp": HYBRID,
    "wae_gan": OF_AAE,
}
# Layers below the last latents do not matter to these; nor do the priors' to where the posterior puts them; nor what is
# behind a discriminator's feature layer; nor does a shift of the latents to their entropy.
IN_PART = {
    *(("hvae", "kl", "decoder"), ("hvae", "reconstruction", "decoder")),
    ("vae_gan", "feature_reconstruction", "discriminator"),
    *((name, "entropy", "posterior") for name in FLOW_POSTERIORS),
    # not of the bias's shift
    *((name, "r1", "discriminator") for name in ("conditional_gan", "conditional_av_ade", FAKE_RECONSTRUCTIONS)),
    # The classifier and the projection are two heads of one network.
    *((AUXILIARY_CLASSIFIER, term, "discriminator") for term in ("adversarial", "real", "fake", "r1", "class")),
}
SLOPES = {"r1", "gradient_penalty", "dragan"}  # which the discriminator's last bias does not change


@pytest.fixture(params=REACHED, scope="module")
def recipe(request):
    return request.param


@pytest.fixture(scope="module")
def model(recipe):
    """With weights that are nowhere zero, so that no gradient vanishes at the start. Tests leave these as they are."""
    keras.utils.set_random_seed(0)
    file, bindings = recipe.partition(",")[0], ["data = 'digits'", SPEC_BINDING, *BINDINGS.get(recipe, ())]
    with untraced(), common.workspace().configured([str(ROOT / "gin" / f"{file}.gin"), TINY], bindings):
        model = build_model(configuration.make(Recipe))
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(0.05 * generator.normal(size=variable.shape))
    return model


@pytest.fixture
def batch():
    source, rows = load("digits", "train"), np.arange(8)
    return Batch(tf.constant(source.fetch(rows)), tf.constant(source.labels(rows)))


def owned(player: str, model) -> set[str]:
    """The networks that a player of this name moves."""
    if player == "autoencoder":
        return {name for name in model.networks if "discriminator" not in name}
    return {"encoder"} if player == "reconstructor" else {player}


def test_what_each_term_reaches(recipe, model, batch, eager):
    """And which player minimises it, who moves which networks."""
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(batch, model._seeds(0))
        values = {
            (player, term): tf.reduce_mean(value.value if isinstance(value, Weighted) else value)
            for player, terms in losses.items()
            for term, value in terms.items()
        }
    table = {(player, term): networks for player, terms in REACHED[recipe].items() for term, networks in terms.items()}
    assert set(values) == set(table)
    for player in model.players():
        names = owned(player.name, model)
        expected = {v.path for name in names for v in model.networks[name].trainable_variables}
        assert {v.path for v in player.variables} == expected, player.name
    for (player, term), expected in table.items():
        for name, network in model.networks.items():
            gradients = tape.gradient(values[player, term], network.trainable_variables)
            reached = [gradient is not None for gradient in gradients]
            if (recipe, term, name) in IN_PART:
                assert any(reached)
                assert not all(reached)
            else:
                count = len(reached) - (name == "discriminator" and term in SLOPES)
                assert reached[:count] == [name in expected] * count, (player, term, name)
                assert not any(reached[count:])
