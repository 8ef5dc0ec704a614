"""The Fréchet distance against closed forms, scaling laws and an independent formula."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import Moments, frechet_distance


def with_moments(mean, covariance, count=8):
    """A set of 2·D·count points with exactly this mean and (ddof = 1) covariance."""
    mean, covariance = np.asarray(mean, float), np.asarray(covariance, float)
    values, vectors = np.linalg.eigh(covariance)
    axes = (vectors * np.sqrt(np.maximum(values, 0))).T
    points = np.concatenate([axes, -axes] * count)
    return mean + points * np.sqrt((len(points) - 1) / (2 * count))


def value(real, fake):
    return frechet_distance(real=real, fake=fake).value


def test_closed_form_of_two_dimensions():
    real = with_moments([0, 0], [[2, 1], [1, 2]])
    np.testing.assert_allclose(np.cov(real, rowvar=False), [[2, 1], [1, 2]], atol=1e-12)
    fake = with_moments([3, 4], np.diag([1.0, 3.0]))
    np.testing.assert_allclose(value(real, fake), 33 - 2 * np.sqrt(14), rtol=1e-12)


def test_closed_form_of_one_dimension():
    """(m₁ − m₂)² + (σ₁ − σ₂)²."""
    np.testing.assert_allclose(value(with_moments([1], [[4]]), with_moments([-1], [[25]])), 4 + 9, rtol=1e-12)


def test_closed_form_of_commuting_covariances():
    first, second = np.array([1.0, 4.0, 9.0]), np.array([16.0, 0.0, 1.0])
    found = value(with_moments(np.zeros(3), np.diag(first)), with_moments(np.ones(3), np.diag(second)))
    np.testing.assert_allclose(found, 3 + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum(), rtol=1e-12)


def test_closed_form_of_rank_one_covariances():
    """tr (aaᵀ·bbᵀ)^½ = |a·b|: both covariances are singular."""
    a, b = np.array([1.0, 2.0, 0.0, 2.0]), np.array([0.0, 3.0, 4.0, 0.0])
    found = value(with_moments(np.zeros(4), np.outer(a, a)), with_moments(np.zeros(4), np.outer(b, b)))
    np.testing.assert_allclose(found, 9 + 25 - 2 * 6, rtol=1e-7)


@pytest.fixture(scope="module")
def sets():
    generator = np.random.default_rng(0)
    return generator.normal(size=(400, 20)) @ generator.normal(size=(20, 20)), generator.normal(1, 2, size=(300, 20))


def test_identical_sets_and_symmetry(sets):
    real, fake = sets
    assert 0 <= value(real, real.copy()) < 1e-9
    np.testing.assert_allclose(value(real, fake), value(fake, real), rtol=1e-10)


def test_shift_scale_rotation(sets):
    real, fake = sets
    np.testing.assert_allclose(value(real, real + np.arange(20)), (np.arange(20.0) ** 2).sum(), rtol=1e-10)
    np.testing.assert_allclose(value(3 * real, 3 * fake), 9 * value(real, fake), rtol=1e-10)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))[0]
    np.testing.assert_allclose(value(real @ rotation + 7, fake @ rotation + 7), value(real, fake), rtol=1e-10)


def test_against_the_nuclear_norm(sets):
    """An independent route: tr (S₁S₂)^½ is the nuclear norm of X_c Y_cᵀ over the root of (N − 1)(M − 1)."""
    real, fake = sets
    x, y = real - real.mean(0), fake - fake.mean(0)
    nuclear = np.linalg.norm(x @ y.T, "nuc") / np.sqrt((len(x) - 1) * (len(y) - 1))
    spread = np.var(real, axis=0, ddof=1).sum() + np.var(fake, axis=0, ddof=1).sum()
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + spread - 2 * nuclear
    np.testing.assert_allclose(value(real, fake), expected, rtol=1e-9)


def test_fewer_examples_than_features_is_exact_and_warned_of():
    generator = np.random.default_rng(2)
    real, fake = generator.normal(size=(30, 50)), generator.normal(size=(25, 50))
    with pytest.warns(UserWarning, match="examples of 50 features"):
        found = value(real, fake)
    x, y = real - real.mean(0), fake - fake.mean(0)
    nuclear = np.linalg.norm(x @ y.T, "nuc") / np.sqrt(29 * 24)
    spread = np.var(real, axis=0, ddof=1).sum() + np.var(fake, axis=0, ddof=1).sum()
    np.testing.assert_allclose(found, ((real.mean(0) - fake.mean(0)) ** 2).sum() + spread - 2 * nuclear, rtol=1e-6)


def test_moments_arrays_order_and_batches_agree(sets):
    real, fake = sets
    moments = Moments(protocol={"extractor": "a", "split": "test"})
    for start in range(0, len(real), 37):
        moments.update(real[start : start + 37])
    result = frechet_distance(real=moments, fake=np.random.default_rng(3).permutation(fake))
    np.testing.assert_allclose(result.value, value(real, fake), rtol=1e-9)
    expected = {"extractor": "a", "num_real": 400, "num_fake": 300, "dimensions": 20, "dtype": "float64", "ddof": 1}
    assert (result.name, result.std, result.protocol) == ("frechet_distance", None, expected)


def test_float32_features_are_summed_in_float64(sets):
    real, fake = (features.astype(np.float32) + np.float32(1000) for features in sets)
    np.testing.assert_allclose(value(real, fake), value(real.astype(np.float64), fake.astype(np.float64)), rtol=1e-12)


def test_refusals(sets):
    real, fake = sets
    with pytest.raises(TypeError):
        frechet_distance(real, fake)  # swapped arguments are the field's most common slip
    for bad, message in (
        (fake[:, :5], "fake has 5 features and real has 20"),
        (fake[0], r"fake has shape \[20\]"),
        (fake[:1], "fake has 1 example"),
        (np.where(fake > 4, np.nan, fake), "fake holds .* NaN"),
        (Moments(fake, protocol={"extractor": "b"}), "extractor='b', but 'a'"),
        (Moments(fake, protocol={"extractor": "a", "resize": "clean"}), "resize='clean', but 'legacy'"),
    ):
        with pytest.raises(UsageError, match=message):
            frechet_distance(real=Moments(real, protocol={"extractor": "a", "resize": "legacy"}), fake=bad)
