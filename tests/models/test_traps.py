"""Slips of whoever writes a model or binds its parts: one line, before anything is trained."""

import gin
import keras
import pytest
import tensorflow as tf
from gin import config as gin_config

from tests.models.toys import STAGES, Embedding, TwoStages
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError
from tfade.models.began import BEGAN
from tfade.models.latent_density import LatentDensity
from tfade.models.players import Player, Weighted
from tfade.networks.dcgan import DCGANGenerator
from tfade.training import configuration
from tfade.training.isolation import isolated
from tfade.training.reach import configured_defaults, require_reached

SHAPE = (16, 16, 3)


def compiled(model, **arguments):
    model.compile(lambda name, of_stage=None: keras.optimizers.SGD(0.1), **arguments)
    return model


def bound(*lines):
    """A density over the codes of a toy, made by gin with these lines bound."""
    configuration.parse([], lines)
    with configured_defaults():
        return gin.get_configurable(LatentDensity)(SHAPE, TwoStages)


def test_bindings_reach_classes_that_are_defaults():
    """`LatentDensity.distribution` is `GaussianMixture` by default, whose conditioner is a default in its turn."""
    with isolated():
        lines = ("GaussianMixture.components = 2", "MLPConditioner.width = 3")
        assert bound(*lines).density.components == 2
        assert "GaussianMixture.conditioner = @MLPConditioner" in configuration.text()
        assert "VAE.posterior" not in configuration.text()  # an owner that the model has nothing of
        assert configuration.query("LatentDensity.distribution") is None
    with isolated():
        lines = ("GaussianMixture.components = 2", "few/LatentDensity.distribution = @StandardNormal")
        assert bound(*lines).density.components == 2
        with gin.config_scope("few"), configured_defaults():
            assert isinstance(gin.get_configurable(LatentDensity)(SHAPE, TwoStages).density, StandardNormal)


def test_every_instance_of_a_class_is_reached():
    """gin makes one generator of the two explicitly; the other is a default of a default."""
    lines = [
        "DCGANGenerator.width = 4",
        "BEGAN.generator = @DCGANGenerator",
        "AutoencodingDiscriminator.hidden_size = 3",
    ]
    with isolated():
        configuration.parse([], lines)
        with configured_defaults():
            model = gin.get_configurable(BEGAN)(SHAPE, 3)
        expected = gin.get_configurable(DCGANGenerator)(SHAPE, 3).count_params()
    assert model.generator.count_params() == model.discriminator.decoder.count_params() == expected < 1e4


def test_a_recorded_configuration_makes_the_same_model():
    """It holds the values of all that gin made, which count as bound when it is read."""
    lines = ["BEGAN.discriminator = @few/AutoencodingDiscriminator", "few/DCGANGenerator.width = 4"]
    shapes, texts = [], []
    for _ in range(2):
        with isolated():
            configuration.parse([], lines)
            with configured_defaults():
                model = gin.get_configurable(BEGAN)(SHAPE, 3)
            texts.append(configuration.text())
        shapes.append([variable.shape for variable in model.trainable_variables])
        lines = texts[0].splitlines()
    assert "\nDCGANGenerator.width = 64\n" in texts[0]
    assert shapes[0] == shapes[1]
    assert texts[0] == texts[1]
    assert model.discriminator.decoder.count_params() < model.generator.count_params() / 10


def test_what_gin_may_not_bind_stays_as_it_is():
    """A class of someone else, which the model has nothing of."""
    gin.register(module="tests.traps", denylist=["part"])(Closed)
    try:
        with isolated():
            assert bound("GaussianMixture.components = 2", "StandardNormal.name = 'z'").density.components == 2
    finally:
        gin_config._REGISTRY.pop("tests.traps.Closed")
        gin_config._INVERSE_REGISTRY.pop(Closed)


class Closed:
    def __init__(self, part=StandardNormal):
        self.part = part


def test_bindings_that_reach_nothing():
    """Those of a scope that no reference names, and of a class that a constructor calls itself."""
    with isolated():
        model = bound("few/GaussianMixture.components = 2")
        with pytest.raises(UsageError) as raised:
            require_reached(model)
    assert str(raised.value).startswith("few/GaussianMixture.components is bound, but nothing of LatentDensity is made")
    assert str(raised.value).endswith("or bind the argument that GaussianMixture is for to @few/GaussianMixture")
    with isolated():
        require_reached(
            bound("few/GaussianMixture.components = 2", "LatentDensity.distribution = @few/GaussianMixture")
        )
    with isolated():
        require_reached(bound("DCGANEncoder.width = 5", "DCGANGenerator.width = 5"))
    with isolated():
        configuration.parse([], ["DCGANEncoder.width = 5"])
        with pytest.raises(UsageError, match=r"DCGANEncoder\.width is bound, but Embedding .* calls the class itself"):
            require_reached(Embedding(SHAPE))


class Unregistered(Embedding):
    """One of its player's networks would not be saved."""

    def players(self):
        extra = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="extra")
        return (Player("encoder", self.encoder, extra),)


def test_a_network_that_is_not_registered():
    with pytest.raises(UsageError, match="'encoder' trains the network 'extra', which Unregistered did not register"):
        compiled(Unregistered(SHAPE))


class Given(Embedding):
    """An embedding with other players."""

    def __init__(self, spec, players):
        super().__init__(spec)
        self.given = players

    def players(self):
        return self.given(self.encoder)


@pytest.mark.parametrize(
    ("players", "message"),
    [
        (lambda encoder: Player("encoder", encoder), "Given.players returns .*; give a tuple of Players"),
        (lambda encoder: (encoder,), "give a tuple of Players"),
        (
            lambda encoder: (Player("encoder", encoder.layers[1]), Player("encoder", encoder.layers[-1])),
            r"Given.players returns \['encoder', 'encoder'\]; give every player a name of its own",
        ),
        (
            lambda encoder: (Player("encoder", encoder, keras.layers.Dense(2, name="extra")),),
            "trains the network 'extra', which Given did not register",
        ),
    ],
    ids=["one player", "no player", "one name", "not built"],
)
def test_players_that_could_not_be_trained(players, message):
    with pytest.raises(UsageError, match=message):
        compiled(Given(SHAPE, players))


def test_a_network_without_variables_yet():
    model = Given(SHAPE, lambda encoder: (Player("encoder", encoder, extra),))
    extra = model.add_network("extra", lambda: keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(UsageError, match="the network 'extra' of Given has no variables yet; build it when it is"):
        compiled(model)


@pytest.mark.parametrize("name", ["model", "report", "average.encoder"])
def test_names_that_checkpoints_use(name):
    with pytest.raises(UsageError, match=f"network name '{name}' is one of a checkpoint's own groups"):
        Embedding(SHAPE).add_network(name, lambda: keras.layers.Rescaling(2.0))


class Hidden(keras.layers.Layer):
    """Made with its weight, so that Keras never builds it."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones")


@pytest.mark.parametrize("make", [Hidden, lambda: keras.layers.Rescaling(2.0)], ids=["made whole", "no weights"])
def test_networks_that_need_no_build(make):
    model = Embedding(SHAPE)
    model.add_network("extra", make)
    assert compiled(model).stages


@pytest.mark.parametrize("make", [lambda: tf.Variable(1.0), lambda: keras.metrics.Mean()], ids=["tf", "metric"])
def test_variables_that_would_not_be_saved(make):
    model = Embedding(SHAPE)
    model.extra = make()
    with pytest.raises(UsageError, match=r"Embedding\.extra is a .*, which would not be saved; use add_weight"):
        compiled(model)


class Changed(Embedding):
    """An embedding with other losses."""

    def __init__(self, spec, change):
        super().__init__(spec)
        self.change = change

    def losses(self, batch, seeds):
        return self.change(super().losses(batch, seeds))


PAIRS = tf.ones((3, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda losses: {}, "Changed.losses returns no term of player 'encoder'; a player needs a loss"),
        (lambda losses: {"encoder": {}}, "Changed.losses returns no term of player 'encoder'"),
        (lambda losses: losses | {"decoder": losses["encoder"]}, r"unknown players \['decoder'\]; .* \['encoder'\]$"),
        (
            lambda losses: {"encoder": {"a": PAIRS}},
            r"term encoder/a of Changed has shape \(3, 2\) for a batch of 2; give one",
        ),
        (lambda losses: {"encoder": {"a": Weighted(2.0, PAIRS)}}, r"encoder/a of Changed has shape \(3, 2\)"),
        (lambda losses: {"encoder": {"a": tf.ones(5)}}, r"has shape \(5,\) for a batch of 2; give one value per"),
        (lambda losses: None, r"Changed.losses returns a NoneType; give {player: {term: values}}"),
        (lambda losses: {"encoder": tf.ones(2)}, r"returns a .*Tensor of player 'encoder'; give {term: values}"),
    ],
    ids=["no player", "no term", "unknown player", "shape", "weighted shape", "length", "nothing", "no dictionary"],
)
def test_losses_that_do_not_fit_the_players(change, message):
    with pytest.raises(UsageError, match=message):
        compiled(Changed(SHAPE, change))


class Shared(Embedding):
    """Its encoder has two players."""

    def players(self):
        return Player("encoder", self.encoder), Player("other", self.encoder)


def test_one_network_in_two_players():
    with pytest.raises(
        UsageError, match="players 'encoder' and 'other' both move '.*kernel'; give each variable to one"
    ):
        compiled(Shared(SHAPE))


def test_a_prior_that_training_moves_cannot_be_replaced():
    model = compiled(TwoStages(SHAPE), stages=STAGES[:1])
    assert model.set_prior(StandardNormal) is model.networks["prior"]  # no stage moves it
    model = compiled(TwoStages(SHAPE), stages=STAGES)
    with pytest.raises(UsageError, match="StandardNormal.* would replace one that a player trains; choose it when"):
        model.set_prior(StandardNormal)
    assert not isinstance(model.networks["prior"], StandardNormal)
