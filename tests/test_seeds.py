import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from tfade import seeds
from tfade.distributions.gaussian import standard_normal
from tfade.seeds import Seeds, as_seed


def test_per_example_normal_noise_is_finite_at_the_ends(monkeypatch):
    """The uniform noise has 2²⁴ values; neither the first nor the last may become infinite."""
    ends = tf.constant([[0.0], [1 - 2.0**-24]])
    monkeypatch.setattr(seeds, "per_example_noise", lambda *arguments: ends)
    drawn = seeds.per_example_normal_noise(ends, 0, (1,)).numpy()
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn[0], -drawn[1], rtol=1e-2)
    assert drawn[1] > 5


def test_per_example_normal_noise_is_normal():
    x = tf.constant(np.random.default_rng(0).uniform(size=(200, 4)), tf.float32)
    drawn = seeds.per_example_normal_noise(x, 3, (50,)).numpy()
    assert drawn.shape == (200, 50)
    assert kstest(drawn.reshape(-1), "norm").pvalue > 0.01
    alone = seeds.per_example_normal_noise(x[7:9], 3, (50,))
    np.testing.assert_allclose(alone, drawn[7:9], rtol=1e-5, atol=1e-6)  # kernels round the ends of vectors differently
    assert (
        np.abs(np.corrcoef(drawn.reshape(-1), seeds.per_example_normal_noise(x, 4, (50,)).numpy().reshape(-1))[0, 1])
        < 0.05
    )


def test_replicas_draw_the_rows_of_one_global_draw():
    whole = Seeds(3, 5).normal("prior", (8, 4))
    parts = [Seeds(3, 5, replica=r, num_replicas=2).normal("prior", (4, 4)) for r in range(2)]
    np.testing.assert_array_equal(whole, tf.concat(parts, 0))
    assert not np.allclose(parts[0], parts[1])


def test_any_sampler_draws_by_position():
    draw = standard_normal(4).sample
    whole = Seeds(3, 5).rows("prior", 6, draw)
    parts = [Seeds(3, 5, replica=tf.constant(r), num_replicas=3).rows("prior", 2, draw) for r in range(3)]
    np.testing.assert_array_equal(whole, tf.concat(parts, 0))


@pytest.mark.parametrize(
    ("run_seed", "step", "scope", "name"),
    [(4, 5, "", "prior"), (3, 6, "", "prior"), (3, 5, "1", "prior"), (3, 5, "", "code")],
)
def test_everything_that_names_a_draw_changes_it(run_seed, step, scope, name):
    reference = Seeds(3, 5).normal("prior", (8,))
    assert not np.allclose(reference, Seeds(run_seed, step, scope=scope).normal(name, (8,)))
    np.testing.assert_array_equal(reference, Seeds(3, 5).normal("prior", (8,)))


def test_uniform_and_normal_noise_of_one_name_share_nothing():
    """Normal noise is made of pairs of uniform bits: with one seed, radii and the uniform noise ranked alike."""
    uniform, normal = (draw("x", (20_000,)).numpy() for draw in (Seeds(0, 0).uniform, Seeds(0, 0).normal))
    pairs = normal.reshape(-1, 2)
    for part in (normal, np.abs(normal), np.repeat(np.hypot(*pairs.T), 2), np.arctan2(*pairs.T).repeat(2)):
        for shifted in (uniform, np.roll(uniform, 1), np.roll(uniform, -1)):
            assert abs(np.corrcoef(part, shifted)[0, 1]) < 0.04


def test_uniform_noise_is_in_the_unit_interval():
    noise = Seeds(0, 0).uniform("u", (10_000,)).numpy()
    assert noise.min() >= 0
    assert noise.max() < 1
    assert abs(noise.mean() - 0.5) < 5 * (1 / 12 / 10_000) ** 0.5


def test_users_seeds():
    np.testing.assert_array_equal(as_seed(5), as_seed(tf.constant(5)))
    np.testing.assert_array_equal(as_seed(2**40 + 5), as_seed(tf.constant(2**40 + 5, tf.int64)))
    assert not np.array_equal(as_seed(5), as_seed(2**40 + 5))
    assert not np.array_equal(as_seed(None), as_seed(None))


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_words(key, counter, expected):
    """Known answers of Random123, the authors' library."""
    words = [[tf.constant(word, tf.uint32) for word in pair] for pair in (key, counter)]
    assert tuple(int(word) for word in seeds.threefry(*words)) == expected


def test_noise_of_numbered_examples_is_theirs_alone():
    key = seeds.noise_key(3, "chains")
    whole = seeds.ExampleNoise(key, np.arange(6)).normal(5, (7, 3))
    np.testing.assert_allclose(seeds.ExampleNoise(key, [4, 2]).normal(5, (7, 3)), tf.gather(whole, [4, 2]), rtol=1e-5)
    for other in (
        seeds.ExampleNoise(key, np.arange(6)).normal(6, (7, 3)),
        seeds.ExampleNoise(seeds.noise_key(3, "other"), np.arange(6)).normal(5, (7, 3)),
        seeds.ExampleNoise(seeds.noise_key(4, "chains"), np.arange(6)).normal(5, (7, 3)),
    ):
        assert np.abs(np.corrcoef(np.ravel(whole), np.ravel(other))[0, 1]) < 0.4
    numbers = seeds.ExampleNoise(key, np.arange(6)).seed(1).numpy()
    assert numbers.shape == (6, 2)
    assert len(np.unique(numbers)) == 12
    assert numbers.min() >= 0


def test_noise_of_numbered_examples_is_normal_and_uniform():
    noise = seeds.ExampleNoise(seeds.noise_key(0, "test"), np.arange(100))
    assert kstest(np.ravel(noise.normal(0, (51,))), "norm").pvalue > 0.01
    uniform = np.ravel(noise.uniform(1, (51,)))
    assert kstest(uniform, "uniform").pvalue > 0.01
    assert 0 < uniform.min() < uniform.max() < 1
    halves = noise.normal(0, (40,)).numpy().reshape(100, 2, 20)  # both of a pair of Box and Muller
    assert np.abs(np.corrcoef(halves[:, 0].ravel(), halves[:, 1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e30])
def test_vectors_of_any_scale_have_noise_of_their_own(scale):
    x = tf.constant(scale * np.random.default_rng(0).normal(size=(500, 3)), tf.float32)
    assert len(np.unique(seeds.example_keys(x))) == 500
    rounded = tf.constant(x.numpy() * np.float32(1 + 2.0**-23))
    assert (seeds.example_keys(x).numpy() == seeds.example_keys(rounded).numpy()).mean() > 0.97
    zeros = tf.constant([[0.0, 1.0], [-0.0, 1.0]])
    assert len(np.unique(seeds.example_keys(zeros))) == 1
