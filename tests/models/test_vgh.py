"""VGH and VGH++: the losses of the paper's appendix by hand, and the switches."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.distributions.gaussian import diagonal_normal
from tfade.errors import UsageError
from tfade.models.vgh import VGH, VGHPlusPlus
from tfade.seeds import Seeds
from tfade.spec import Batch


def log_sigmoid(x):
    return -np.logaddexp(0, -np.asarray(x, np.float64)).squeeze(-1)


def value(term):
    return np.asarray(getattr(term, "value", term))


def test_the_losses_are_those_of_appendix_f(make_model, images):
    model = make_model(VGHPlusPlus, model_arguments={"encoder_weight": 5.0, "generator_weight": 7.0})
    seeds = Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    x = images / 127.5 - 1
    code = model.encoder(x, training=True)
    z = seeds.rows("prior", 8, model.prior().sample)
    reconstruction, sample = model.generator(code, training=True), model.generator(z, training=True)
    data, rec, fake = (model.discriminator(i, training=True) for i in (x, reconstruction, sample))
    prior, posterior = model.code_discriminator(z), model.code_discriminator(code)
    l1 = np.abs(x - reconstruction.numpy()).mean((1, 2, 3))
    expected = {
        "encoder": {"reconstruction": (5, l1), "code_adversarial": (1, -log_sigmoid(posterior))},
        "generator": {
            "reconstruction": (7, l1),
            "reconstruction_adversarial": (1, -log_sigmoid(rec)),
            "sample_adversarial": (1, -log_sigmoid(fake)),
        },
        "discriminator": {
            "real": (1, -log_sigmoid(data)),
            "reconstruction": (1, -log_sigmoid(-rec)),
            "sample": (1, -log_sigmoid(-fake)),
        },
        "code_discriminator": {"real": (1, -log_sigmoid(prior)), "code": (1, -log_sigmoid(-posterior))},
    }
    assert {player: set(terms) for player, terms in losses.items()} == {p: set(t) for p, t in expected.items()}
    for player, terms in expected.items():
        for term, (weight, by_hand) in terms.items():
            got = losses[player][term]
            assert getattr(got, "weight", 1) == weight, (player, term)
            np.testing.assert_allclose(value(got), by_hand, rtol=2e-4, atol=1e-5, err_msg=f"{player}/{term}")


def test_vgh_has_no_term_on_samples(make_model, images):
    losses = make_model(VGH).losses(Batch(tf.constant(images)), Seeds(0, 0))
    assert set(losses["discriminator"]) == {"real", "reconstruction"}
    assert set(losses["generator"]) == {"reconstruction", "reconstruction_adversarial"}


def test_the_other_reading_of_the_encoder(make_model, images):
    model = make_model(model_arguments={"encoder_fools_discriminator": True})
    losses = model.losses(Batch(tf.constant(images)), Seeds(0, 0))
    np.testing.assert_array_equal(
        value(losses["encoder"]["reconstruction_adversarial"]), value(losses["generator"]["reconstruction_adversarial"])
    )


def test_the_sum_is_the_mean_times_the_dimensions(make_model, images):
    mean = make_model().losses(Batch(tf.constant(images)), Seeds(0, 0))["encoder"]["reconstruction"]
    total = make_model(model_arguments={"reconstruction_reduction": "sum"}).losses(
        Batch(tf.constant(images)), Seeds(0, 0)
    )
    np.testing.assert_allclose(value(total["encoder"]["reconstruction"]), value(mean) * 16 * 16 * 3, rtol=1e-4)


def test_gaussian_codes_are_drawn_and_deterministic_ones_are_not(make_model, images):
    model = make_model(model_arguments={"gaussian_codes": True})
    parameters = model.encoder(images / 127.5 - 1, training=True)
    posterior = model.encode(images)
    assert posterior.batch_shape == (8,)
    assert posterior.event_shape == (6,)
    sample = tf.function(lambda step: model.code_sample(images / 127.5 - 1, Seeds(0, step)))
    draws = [sample(step) for step in tf.range(400)]
    q = diagonal_normal(parameters)
    np.testing.assert_allclose(tf.reduce_mean(draws, 0), q.mean(), atol=6 * float(tf.reduce_max(q.stddev())) / 400**0.5)
    np.testing.assert_allclose(tf.math.reduce_std(draws, 0), q.stddev(), rtol=0.25)
    deterministic = make_model()
    np.testing.assert_array_equal(deterministic.encode(images).mean(), deterministic.encode(images).sample(seed=(1, 2)))


@pytest.mark.full("as that of every model of test_properties")
def test_the_public_interface(make_model, kind, images):
    model = make_model(kind)
    assert model.likelihood is None
    for picture in (model.sample(5, seed=1), model.reconstruct(images), model.decode(np.zeros((5, 6), np.float32))):
        assert picture.dtype == tf.float32
        assert picture.shape[1:] == (16, 16, 3)
        assert 0 <= float(tf.reduce_min(picture)) <= float(tf.reduce_max(picture)) <= 1
    assert model.discriminate(images).shape == (8,)
    np.testing.assert_allclose(model.reconstruct(images), model.reconstruct(images / np.float32(255)), atol=1e-6)
    np.testing.assert_array_equal(model.sample(5, seed=1), model.sample(5, seed=1))
    assert not np.array_equal(model.sample(5, seed=1), model.sample(5, seed=2))
    assert not np.array_equal(model.sample(5), model.sample(5))
    same = model.sample(5, temperature=0.0, seed=1).numpy()
    np.testing.assert_allclose(same, np.repeat(same[:1], 5, 0), atol=1e-6)
    with pytest.raises(NotImplementedError, match=f"{kind.__name__} cannot log_prob: adversaries"):
        model.log_prob(images)


@pytest.mark.parametrize(
    "arguments",
    [
        {"encoder_weight": -1.0},
        {"generator_weight": float("nan")},
        {"latent_size": 0},
        {"reconstruction_reduction": "l1"},
    ],
)
def test_wrong_arguments_are_refused_by_name(make_model, arguments):
    with pytest.raises(UsageError, match=next(iter(arguments))):
        make_model(model_arguments=arguments)
