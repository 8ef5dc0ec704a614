"""Annealed importance sampling on linear-Gaussian models, whose likelihood and posterior are known."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import kstest, multivariate_normal

from tfade.errors import UsageError
from tfade.evaluation import Annealing, annealed_importance_sampling, bidirectional_bounds, sigmoid_schedule
from tfade.seeds import ExampleNoise, noise_key

tfd = tfp.distributions


class PCA:
    """x = W z + b + σ ε, in float64 unless told otherwise."""

    def __init__(self, dimensions=4, latents=2, scale=0.5, examples=5, dtype=np.float64):
        generator = np.random.default_rng(0)
        weights = 2.0 / np.sqrt(dimensions) * generator.normal(size=(dimensions, latents))
        bias = generator.normal(size=dimensions)
        self.weights, self.bias, self.scale, self.dtype = weights, bias, scale, dtype
        x = generator.normal(size=(examples, latents)) @ weights.T + bias
        self.x = (x + scale * generator.normal(size=x.shape)).astype(dtype)
        self.prior = tfd.MultivariateNormalDiag(tf.zeros(latents, dtype), tf.ones(latents, dtype))

    def given(self, z):
        means = tf.matmul(z, tf.constant(self.weights.T, self.dtype)) + tf.constant(self.bias, self.dtype)
        return tfd.Independent(tfd.Normal(means, self.dtype(self.scale)), 1)

    def log_likelihood(self, z, x):
        return self.given(z).log_prob(x)

    def simulate(self, z, seed):
        return self.given(z).sample(seed=seed)

    def exact(self, x):
        """log p(x) [N]."""
        covariance = self.weights @ self.weights.T + self.scale**2 * np.eye(len(self.bias))
        return multivariate_normal(self.bias, covariance).logpdf(x)

    def posterior(self, x):
        covariance = np.linalg.inv(np.eye(self.weights.shape[1]) + self.weights.T @ self.weights / self.scale**2)
        projection = tf.constant(covariance @ self.weights.T / self.scale**2, self.dtype)
        means = tf.linalg.matvec(projection, x - tf.constant(self.bias, self.dtype))
        return tfd.MultivariateNormalTriL(means, tf.constant(np.linalg.cholesky(covariance), self.dtype))

    def parts(self, **others):
        return {"log_likelihood": self.log_likelihood, "prior": self.prior, "jit_compile": False, **others}


@pytest.fixture(scope="module")
def pca():
    return PCA()


def test_the_likelihood_of_probabilistic_pca():
    """64 dimensions, 16 latents, 16 chains and 1,000 temperatures: the acceptance case of the evaluation suite."""
    pca = PCA(64, 16, 0.5, examples=3, dtype=np.float32)
    result = annealed_importance_sampling(x=pca.x, steps=1000, **pca.parts())
    error = result.value - pca.exact(pca.x).mean()
    assert abs(error) < 0.3
    assert abs(error) < 4 * result.diagnostics["monte_carlo_error"]
    assert result.diagnostics["monte_carlo_error"] < 0.3
    assert 0.55 < result.diagnostics["acceptance_end_mean"] < 0.75
    assert 2 < result.diagnostics["effective_sample_size_min"] <= 16
    assert {
        "chains": 16,
        "steps": 1000,
        "schedule": "sigmoid, rad 4",
        "start": "prior",
    }.items() <= result.protocol.items()


def test_both_bounds_of_simulated_data_bracket_the_likelihood():
    """At so few temperatures that both are off by more than a nat."""
    pca = PCA(16, 6, 0.5)
    seen = []

    def simulate(z, seed):
        seen.append(pca.simulate(z, seed).numpy())
        return seen[-1]

    annealing = Annealing(step_size=0.3, **pca.parts(chains=4))
    lower, upper = bidirectional_bounds(annealing, sigmoid_schedule(20), simulate, 50)
    exact = pca.exact(np.concatenate(seen))
    for error in (exact - lower, upper - exact):
        assert 3 * error.std() / np.sqrt(50) < error.mean() < 3


def test_chains_from_the_exact_posterior_have_one_weight(pca):
    """r(z) = log p(x) for every code, so the weight is p(x), whatever the chains do, and both bounds meet."""
    result = annealed_importance_sampling(
        x=pca.x,
        steps=2,
        initial=pca.posterior,
        simulate=pca.simulate,
        num_simulated=5,
        log_det=np.arange(5.0),
        **pca.parts(chains=2),
    )
    assert result.value == pytest.approx(pca.exact(pca.x).mean() + 2, abs=1e-9)
    wanted = {"num_simulated": 5, "start": "posterior", "steps": 2, "chains": 2, "num_real": 5, "dtype": "float64"}
    assert wanted.items() <= result.protocol.items()
    for name in ("monte_carlo_error", "bidirectional_gap", "bidirectional_gap_std"):
        assert abs(result.diagnostics[name]) < 1e-9, name
    assert result.diagnostics["effective_sample_size_min"] == pytest.approx(2)
    assert result.diagnostics["simulated_lower_bound"] == pytest.approx(result.diagnostics["simulated_upper_bound"])


def test_one_temperature_is_importance_sampling_from_the_prior(pca):
    """The only increment is taken before the only transition: weights are likelihoods of the draws themselves."""
    annealed = Annealing(**pca.parts(chains=3)).run(pca.x, np.array([0.0, 1.0]))
    seeds = ExampleNoise(noise_key(0, "forward start"), np.arange(5)).seed()
    for row, seed in enumerate(seeds):
        drawn = pca.prior.sample(3, seed=seed)
        expected = pca.log_likelihood(drawn, np.repeat(pca.x[row : row + 1], 3, 0))
        np.testing.assert_allclose(annealed.log_weights[:, row], expected, rtol=1e-12)


def test_mean_weights_are_unbiased_in_both_directions():
    """E w = p(x) upwards and E w̃ = 1/p(x) downwards, at temperatures so few that a wrong transition would show."""
    pca = PCA(2, 1, 0.4, examples=1)
    annealing, betas = Annealing(**pca.parts(chains=5000)), sigmoid_schedule(6)
    starts = pca.posterior(pca.x).sample(5000, seed=(1, 2)).numpy()
    for sign, run in (
        (1, annealing.run(pca.x, betas)),
        (-1, annealing.run(pca.x, betas[::-1].copy(), start=starts, name="backward")),
    ):
        weights = np.exp(run.log_weights[:, 0] - sign * pca.exact(pca.x))
        error = weights.std() / np.sqrt(len(weights))
        assert abs(weights.mean() - 1) < 4 * error
        assert error < 0.2


def test_a_transition_leaves_the_posterior_as_it_is():
    pca = PCA(2, 1, 0.4, examples=1)
    annealing, key = Annealing(step_size=0.5, **pca.parts(chains=20_000)), noise_key(0, "test")
    posterior = pca.posterior(pca.x)
    x = tf.constant(pca.x)
    state = annealing._first_state(x, posterior.sample(20_000, seed=(1, 2)))
    state = annealing._advance(x, key, tf.constant([0]), tf.ones(11, tf.float64), *map(tf.constant, (0, 10)), state)
    standardised = (state.point.z[:, 0, 0] - posterior.mean()[0, 0]) / posterior.stddev()[0, 0]
    assert kstest(standardised, "norm").pvalue > 0.01
    assert abs(np.var(standardised) - 1) < 4 * np.sqrt(2 / 20_000)


@pytest.mark.full("four compilations; codes of every bound belong to their example")
def test_weights_belong_to_their_example(pca):
    """Not to the batch, nor to what else is in it."""
    whole, parts = (Annealing(**pca.parts(chains=4, batch_size=size)) for size in (5, 2))
    expected = whole.run(pca.x, sigmoid_schedule(20)).log_weights
    np.testing.assert_allclose(parts.run(pca.x, sigmoid_schedule(20)).log_weights, expected, rtol=1e-5)
    fewer = parts.run(pca.x[:3], sigmoid_schedule(20)).log_weights
    np.testing.assert_allclose(fewer, expected[:, :3], rtol=1e-5)
    whole.seed = 1
    assert np.abs(whole.run(pca.x, sigmoid_schedule(20)).log_weights - expected).min() > 0


@pytest.mark.full("seconds of XLA")
def test_xla_gives_the_same_weights_and_one_example_the_error_of_its_chains(pca):
    plain = Annealing(**pca.parts(chains=3)).run(pca.x[:1], sigmoid_schedule(6))
    parts = {**pca.parts(chains=3), "jit_compile": True}
    result = annealed_importance_sampling(x=pca.x[:1], steps=6, **parts)
    assert result.value == pytest.approx(plain.log_mean_weight[0], rel=1e-5)
    assert result.std == result.diagnostics["monte_carlo_error"] > 0
    assert result.std == pytest.approx(plain.standard_error[0], rel=1e-4)


def test_the_schedule_is_the_sigmoid_of_the_paper():
    betas = sigmoid_schedule(10)
    assert (betas[0], betas[5], betas[10]) == (0, pytest.approx(0.5), 1)
    sigmoid = 1 / (1 + np.exp(-4 * (2 * np.arange(11) / 10 - 1)))
    np.testing.assert_allclose(betas, (sigmoid - sigmoid[0]) / (sigmoid[10] - sigmoid[0]))
    for arguments in ((0,), (10, 0.0), (10, np.nan)):
        with pytest.raises(UsageError, match="steps="):
            sigmoid_schedule(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": [0.0, 0.6, 0.5, 1.0]}, r"schedule .*each above the one before"),
        ({"schedule": [0.0, 0.5, 0.5, 1.0]}, "schedule"),
        ({"schedule": [0.0, np.nan, 1.0]}, "schedule"),
        ({"schedule": [0.1, 1.0]}, "from 0 to 1"),
        ({"schedule": [0.0, 0.9]}, "from 0 to 1"),
        ({"steps": 0}, "steps=0"),
        ({"chains": 1}, "chains=1"),
        ({"leapfrogs": 0}, "leapfrogs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"step_size": 1.0}, r"step_size=1\.0"),
        ({"target_acceptance": 1.0}, r"target_acceptance=1\.0"),
        ({"x": np.full((2, 4), np.nan)}, "x holds 8 NaN"),
        ({"x": np.zeros((0, 4))}, "x has dtype"),
        ({"log_det": np.zeros(3)}, "log_det has 3 values for 5"),
        ({"simulate": lambda z, seed: np.full((1, 4), np.inf)}, "simulate holds"),
        ({"simulate": lambda z, seed: np.zeros((1, 4)), "num_simulated": 0}, "num_simulated=0"),
    ],
)
def test_refuses(pca, arguments, message):
    arguments = {"x": pca.x, "steps": 1, "chains": 2, **pca.parts(), **arguments}
    with pytest.raises(UsageError, match=message):
        annealed_importance_sampling(**arguments)


def test_refuses_weights_that_are_not_finite(pca):
    with pytest.raises(UsageError, match=r"log_likelihood gave 4 non-finite log weights of 10, in 2 of 5 examples"):
        annealed_importance_sampling(
            x=pca.x,
            steps=2,
            **pca.parts(
                chains=2,
                log_likelihood=lambda z, x: tf.where(x[:, 0] < np.sort(pca.x[:, 0])[2], z[:, 0] * np.nan, z[:, 0]),
            ),
        )


def test_refuses_chains_that_are_stuck():
    narrow = PCA(scale=1e-7)
    with pytest.raises(UsageError, match="accept no proposal at the end"):
        annealed_importance_sampling(x=narrow.x, steps=20, chains=2, **narrow.parts())
