"""The Fréchet distance against closed forms, scaling laws and an independent formula."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import Moments, frechet_distance, frechet_infinity
from tfade.evaluation.samples import frechet


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


def test_cholesky_and_eigenvalues_agree(sets, monkeypatch):
    by_cholesky = value(*sets)
    monkeypatch.setattr(frechet, "SMALLEST", np.inf)
    np.testing.assert_allclose(value(*sets), by_cholesky, rtol=1e-10)


def test_nearly_singular_covariances():
    """A repeated and a constant feature: Cholesky's pivots are rounding, and the rest is a closed form."""
    generator = np.random.default_rng(4)
    real, fake = generator.normal(size=(300, 3)), generator.normal(1, 2, size=(300, 3))
    widened = [np.column_stack([points, points[:, 0], np.full(300, 7.0)]) for points in (real, fake)]
    stretched = [points * [np.sqrt(2), 1, 1] for points in (real, fake)]  # (x, x) is (√2·x, 0), rotated
    np.testing.assert_allclose(value(*widened), value(*stretched), rtol=1e-7)


@pytest.mark.parametrize("smallest", [1e-4, 1e-7])
def test_badly_conditioned_covariances(smallest):
    """Spectra from 10 down to `smallest` in one basis: the sum of (√a - √b)², small directions included."""
    generator = np.random.default_rng(6)
    basis = np.linalg.qr(generator.normal(size=(200, 200)))[0]
    spectrum = np.logspace(1, np.log10(smallest), 200)
    first, second = spectrum, spectrum * generator.uniform(0.5, 2.0, 200)
    moments = []
    for values in (first, second):
        each = Moments(with_moments(np.zeros(200), np.diag(values), count=1) @ basis)
        np.testing.assert_allclose(np.diag(basis @ each.covariance @ basis.T), values, rtol=1e-6)
        moments.append(each)
    expected = np.sum((np.sqrt(first) - np.sqrt(second)) ** 2)
    np.testing.assert_allclose(value(*moments), expected, rtol=1e-9)


def extrapolated(real, fake, **settings):
    return frechet_infinity(real=real, fake=fake, **settings)


def test_extrapolation_removes_the_bias_of_few_samples():
    """Data with known moments, and samples of the same distribution: d² of N samples is about b/N, and 0 at infinity."""
    generator = np.random.default_rng(5)
    real = with_moments(np.zeros(16), np.eye(16))
    found = [extrapolated(real, generator.normal(size=(400, 16)), seed=seed) for seed in range(20)]
    values = np.array([result.value for result in found])
    plain = value(real, generator.normal(size=(400, 16)))
    assert abs(values.mean()) < 0.3 * plain
    assert values.min() < 0 < values.max()  # clipping at 0 would bring a bias back
    assert all(result.std > 0 for result in found)


def test_extrapolation_of_an_exact_line():
    sizes = np.array([10, 20, 40, 80])
    np.testing.assert_allclose(frechet._intercept(1 / sizes, 3 + 5 / sizes), (3, 0), atol=1e-12)
    x, y = np.array([1.0, 2, 3]), np.array([1.0, 2, 6])
    residual, spread = np.array([0.5, -1, 0.5]), 2  # y = −2 + 2.5·x
    error = np.sqrt((residual @ residual) / 1 * (1 / 3 + 4 / spread))
    np.testing.assert_allclose(frechet._intercept(x, y), (-2, error), rtol=1e-12)


def test_extrapolation_scales_and_is_seeded(sets):
    real, fake = sets
    found = extrapolated(real, fake, seed=1)
    assert found == extrapolated(real, fake, seed=1)
    assert found.value != extrapolated(real, fake, seed=2).value
    twice = extrapolated(2 * real, 2 * fake, seed=1)
    np.testing.assert_allclose([twice.value, twice.std], [4 * found.value, 4 * found.std], rtol=1e-9)
    moments = extrapolated(Moments(real, protocol={"extractor": "a"}), fake, seed=1)
    np.testing.assert_allclose(moments.value, found.value, rtol=1e-9)
    assert moments.protocol["extractor"] == "a"
    wanted = {"num_real": 400, "num_fake": 300, "dimensions": 20, "subset_seed": 1, "std": "of the fit's intercept"}
    assert wanted.items() <= found.protocol.items()
    assert found.protocol["sizes"][::14] == [30, 300]
    assert extrapolated(real, fake, sizes=3, smallest=100).protocol["sizes"] == [100, 200, 300]


def test_extrapolation_warns_of_small_subsets():
    points = np.random.default_rng(6).normal(size=(40, 50))
    with pytest.warns(UserWarning, match="fake's smallest subset has 20 examples of 50 features"):
        extrapolated(np.random.default_rng(7).normal(size=(90, 50)), points)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fake": Moments(np.eye(20))}, "fake=Moments has no samples"),
        ({"fake": np.zeros((300, 5))}, "fake has 5 features and real has 20"),
        ({"fake": np.zeros(20)}, r"fake has shape \[20\]"),
        ({"fake": np.full((300, 20), np.nan)}, "fake holds 6000 NaN"),
        ({"real": np.full((300, 20), np.inf)}, "real holds 6000 NaN or infinite"),
        ({"real": np.zeros((1, 20))}, r"real has 1 example\(s\)"),
        ({"fake": np.zeros((15, 20))}, "fake has 15 examples, too few for sizes=15"),
        ({"smallest": 300}, "too few for sizes=15 distinct subset sizes from smallest=300 up"),
        ({"smallest": 1}, "smallest=1"),
        ({"sizes": 2}, "sizes=2"),
        ({"seed": None}, "seed=None"),
    ],
)
def test_extrapolation_refuses(sets, changes, message):
    with pytest.raises(UsageError, match=message):
        extrapolated(**{"real": sets[0], "fake": sets[1], **changes})


@pytest.mark.parametrize(("smallest", "by_cholesky"), [(1e-4, True), (1e-12, False), (0.0, False)])
def test_which_root_is_taken(smallest, by_cholesky):
    """Cholesky succeeds on pivots that are rounding, whose roots would count."""
    covariance = np.diag([1.0, smallest, 0.5])
    root = frechet._root(covariance)
    assert np.array_equal(root, np.tril(root)) == by_cholesky
    np.testing.assert_allclose(root @ root.T, covariance, atol=1e-15)
