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

INFERENCE = {"encoder", "posterior"}
LIKELIHOOD = {"reconstruction": {*INFERENCE, "decoder", "pixels"}, "kl": INFERENCE}
IMPLICIT = {
    "reconstruction": LIKELIHOOD["reconstruction"],
    **{name: {*INFERENCE, "joint_discriminator"} for name in ("kl", "real")},
    "contrast": {"joint_discriminator"},
}
WITH_FLOW = {"reconstruction": {*LIKELIHOOD["reconstruction"], "flow"}, "kl": INFERENCE, "log_det": {"flow"}}


def adversary(sampling: set[str], penalty: str | None = "r1") -> dict[str, set[str]]:
    """The terms of both sides, where these networks make the samples."""
    own = {name: {"discriminator"} for name in ("real", penalty) if name}
    return {**own, **{name: {*sampling, "discriminator"} for name in ("adversarial", "fake")}}


FLOW_POSTERIORS = tuple(f"vae_{kind}_posterior" for kind in ("iaf", "maf", "rnvp"))
OF_PAIRS = {
    **dict.fromkeys(("inferred_adversarial", "real"), ("encoder", "joint_discriminator")),
    **dict.fromkeys(("generated_adversarial", "generated"), ("generator", "joint_discriminator")),
}
VEEGAN = {
    "reconstruction": {"encoder", "generator"},
    "generator/adversarial": {"generator", "joint_discriminator"},
    "real": {"encoder", "joint_discriminator"},
    "generated": {"generator", "joint_discriminator"},
}

OF_IMAGES = {
    "real": (),
    **dict.fromkeys(("reconstruction", "reconstruction_adversarial"), ("encoder", "generator")),
    **dict.fromkeys(("sample", "sample_adversarial"), ("generator",)),
}
# Recipes, and those with bindings under a name of their own.
ADVERSARIAL_RECONSTRUCTOR = "veegan, adversarial reconstructor"
AUXILIARY_CLASSIFIER = "conditional_gan, auxiliary classifier"
BINDINGS = {
    # Otherwise the statistics of the joint batch make every term reach every network.
    **dict.fromkeys(("bigan", "ali"), ("BiGAN.together = False",)),
    ADVERSARIAL_RECONSTRUCTOR: ("VEEGAN.reconstructor_fools_discriminator = True",),
    AUXILIARY_CLASSIFIER: ("ConditionalDiscriminator.auxiliary = True", "ConditionalGAN.auxiliary_weight = 1.0"),
}
# recipe → {term, or player/term: networks that it reaches}; samples are made by the decoder and f, from codes of the prior
REACHED = {
    **dict.fromkeys(("bigan", "ali"), OF_PAIRS),
    "veegan": VEEGAN,
    ADVERSARIAL_RECONSTRUCTOR: {**VEEGAN, "reconstructor/adversarial": {"encoder", "joint_discriminator"}},
    "dragan": adversary({"generator"}, "dragan"),
    "began": {
        "reconstruction": {"generator", "discriminator"},
        "fake": {"generator", "discriminator"},
        "real": {"discriminator"},
        "convergence": set(),
    },
    **dict.fromkeys(("avb", "avb_adaptive_contrast"), IMPLICIT),
    "alpha_gan": {
        "code_adversarial": {"encoder", "code_discriminator"},
        "code": {"encoder", "code_discriminator"},
        "code_discriminator/real": {"code_discriminator"},
        **dict.fromkeys(("encoder/reconstruction", "generator/reconstruction"), ("encoder", "generator")),
        **{name: {*networks, "discriminator"} for name, networks in OF_IMAGES.items()},
    },
    "vae_gan": {
        "kl": {"encoder"},
        "feature_reconstruction": {"encoder", "generator", "discriminator"},
        **{name: {*networks, "discriminator"} for name, networks in OF_IMAGES.items()},
    },
    "aae": {
        "reconstruction": {"encoder", "decoder"},
        "adversarial": {"encoder", "code_discriminator"},
        "code": {"encoder", "code_discriminator"},
        "real": {"code_discriminator"},
    },
    **dict.fromkeys(("vae", "vae_bernoulli", "vae_categorical", "vae_quantized_normal"), LIKELIHOOD),
    "vae_discretized_logistic": LIKELIHOOD,
    **{name: {**LIKELIHOOD, "entropy": INFERENCE, "prior": INFERENCE} for name in FLOW_POSTERIORS},
    "iwae": {"bound": LIKELIHOOD["reconstruction"]},
    "hvae": {**LIKELIHOOD, "kl": {*INFERENCE, "decoder"}},
    "v_ade": WITH_FLOW,
    "av_gde": {**LIKELIHOOD, **adversary({"decoder"})},
    "av_ade": {**WITH_FLOW, **adversary({"decoder", "flow"})},
    "gan": adversary({"generator"}),
    "sngan": adversary({"generator"}, None),
    "wgan_gp": adversary({"generator"}, "gradient_penalty"),
    "conditional_gan": adversary({"generator"}),
    AUXILIARY_CLASSIFIER: {
        **adversary({"generator"}),
        **dict.fromkeys(("generator/class", "discriminator/class"), ("generator", "discriminator")),
    },
    "conditional_vae": LIKELIHOOD,
    "conditional_av_ade": {**WITH_FLOW, **adversary({"decoder", "flow"})},
}
# Layers below the last latents do not matter to these; nor do the priors' to where the posterior puts them; nor what is
# behind a discriminator's feature layer; nor does a shift of the latents to their entropy.
IN_PART = {
    *(("hvae", "kl", "decoder"), ("hvae", "reconstruction", "decoder")),
    ("vae_gan", "feature_reconstruction", "discriminator"),
    *((name, "entropy", "posterior") for name in FLOW_POSTERIORS),
    *((name, "r1", "discriminator") for name in ("conditional_gan", "conditional_av_ade")),  # not of the bias's shift
    # The classifier and the projection are two heads of one network.
    *(
        (AUXILIARY_CLASSIFIER, term, "discriminator")
        for term in (*adversary(set()), "generator/class", "discriminator/class")
    ),
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


@pytest.mark.every(5, 4)
def test_what_each_term_reaches(recipe, model, batch, eager):
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(batch, model._seeds(0))
        values = {
            f"{player}/{name}": tf.reduce_mean(value.value if isinstance(value, Weighted) else value)
            for player, terms in losses.items()
            for name, value in terms.items()
        }
    table = REACHED[recipe]
    known = {name: name if name in table else name.partition("/")[2] for name in values}
    assert set(known.values()) == table.keys()
    for full, value in values.items():
        term = known[full]
        expected = table[term]
        for name, network in model.networks.items():
            gradients = tape.gradient(value, network.trainable_variables)
            reached = [gradient is not None for gradient in gradients]
            if (recipe, term, name) in IN_PART:
                assert any(reached)
                assert not all(reached)
            else:
                count = len(reached) - (name == "discriminator" and term in SLOPES)
                assert reached[:count] == [name in expected] * count, (term, name)
                assert not any(reached[count:])
