"""Densities whose logarithm, samples and entropy are exact, to compare models with."""

import abc
import functools

import numpy as np
from scipy.special import logsumexp

from tfade.data.source import SPLITS, ArraySource
from tfade.errors import UsageError


class Density(abc.ABC):
    """A probability density on R^D.

    Attributes:
        dimensions: D.
        box: (lowest, highest) per axis, float64 [2, D]: the mass outside is below 1e-12. For plots and
            for quadrature.
        scale: a length over which the log-density is smooth.
    """

    dimensions: int = 2
    box: np.ndarray
    scale: float

    @abc.abstractmethod
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats, float64 [n], for x [n, D]."""

    @abc.abstractmethod
    def sample(self, n: int, seed: int) -> np.ndarray:
        """n independent draws, float64 [n, D]; a pure function of n and seed."""

    @functools.cached_property
    def entropy(self) -> float:
        """-∫ p log p in nats, by the trapezoidal rule, which converges geometrically for smooth decaying integrands."""
        low, high = self.box
        axes = [np.arange(a, b, self.scale / 4) for a, b in zip(low, high)]
        log_p = self.log_density(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, self.dimensions))
        return float(-np.sum(np.exp(log_p) * log_p) * np.prod([axis[1] - axis[0] for axis in axes]))


class Mixture(Density):
    """Equally weighted round Gaussians: p(x) = 1/K Σ_k N(x; c_k, σ² I).

    Args:
        centres: c, [K, 2].
        sigma: σ.
    """

    def __init__(self, centres: np.ndarray, sigma: float):
        self.centres, self.sigma = np.asarray(centres, np.float64), sigma
        self.scale = sigma
        self.box = np.stack([self.centres.min(0) - 8 * sigma, self.centres.max(0) + 8 * sigma])

    def log_density(self, x):
        squares = np.stack([np.sum((x - centre) ** 2, -1) for centre in self.centres], -1)
        constant = np.log(len(self.centres) * 2 * np.pi * self.sigma**2)
        return logsumexp(-squares / (2 * self.sigma**2), axis=-1) - constant

    def sample(self, n, seed):
        generator = _generator(seed)
        chosen = generator.integers(len(self.centres), size=n)
        return self.centres[chosen] + self.sigma * generator.standard_normal((n, 2))


def ring(modes: int = 8, radius: float = 2.0, sigma: float = 0.05) -> Mixture:
    """Gaussians on a circle at the angles 2πk/K, k < K.

    The published code of unrolled GANs takes linspace(0, 2π, 8), whose last angle repeats the first: seven modes.
    """
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], -1), sigma)


def grid(side: int = 5, spacing: float = 2.0, sigma: float = 0.05) -> Mixture:
    """Gaussians on a square grid about the origin, side² of them."""
    ticks = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2), sigma)


class Moons(Density):
    """Two interleaved half circles of radius 1, uniform in the angle, with Gaussian noise.

    x = c(t) + σε or x = (1, ½) − c(t) + σε with equal chances, c(t) = (cos t, sin t), t ~ U[0, π], ε ~ N(0, I); so that
    p(x) = ½ m(x) + ½ m((1, ½) − x), m(x) = 1/π ∫₀^π N(x; c(t), σ² I) dt. The integral is taken by composite
    Gauss-Legendre quadrature, whose panels are shorter than σ and graded towards the ends.

    Args:
        sigma: σ.
    """

    SHIFT = np.array([1.0, 0.5])

    def __init__(self, sigma: float = 0.1):
        self.sigma = self.scale = sigma
        self.box = np.array([[-1 - 8 * sigma, -0.5 - 8 * sigma], [2 + 8 * sigma, 1 + 8 * sigma]])
        edges = np.linspace(0, np.pi, int(np.ceil(2 * np.pi / sigma)) + 1)
        # Far beyond the ends of the moon the integrand is a steep exponential from there: halve the end panels often.
        graded = edges[1] / 2.0 ** np.arange(1, 11)
        edges = np.sort(np.concatenate([edges, graded, np.pi - graded]))
        nodes, weights = np.polynomial.legendre.leggauss(8)
        halves = np.diff(edges)[:, None] / 2
        self._angles = (edges[:-1, None] + halves * (1 + nodes)).reshape(-1)
        self._log_weights = np.log(halves * weights / np.pi).reshape(-1)

    def _log_moon(self, x):
        """log m(x)."""
        curve = np.stack([np.cos(self._angles), np.sin(self._angles)])
        squares = np.sum(x**2, -1, keepdims=True) + 1 - 2 * (x @ curve)
        return logsumexp(self._log_weights - squares / (2 * self.sigma**2), axis=-1) - np.log(2 * np.pi * self.sigma**2)

    def log_density(self, x):
        x = np.asarray(x, np.float64)
        pieces = [x[start : start + 4096] for start in range(0, len(x), 4096)]  # bounds the points × angles array
        halves = [np.logaddexp(self._log_moon(piece), self._log_moon(self.SHIFT - piece)) for piece in pieces]
        return np.concatenate([np.empty(0), *halves]) - np.log(2)

    def sample(self, n, seed):
        generator = _generator(seed)
        angles = generator.uniform(0, np.pi, n)
        curve = np.stack([np.cos(angles), np.sin(angles)], -1)
        second = generator.random(n) < 0.5
        return np.where(second[:, None], self.SHIFT - curve, curve) + self.sigma * generator.standard_normal((n, 2))


class Pinwheel(Density):
    """Gaussian arms, twisted by an angle that grows with the radius.

    f ~ N((1, 0), diag(radial², tangential²)), rotated by 2πk/K for a uniform k, then by θ(r) = rate · exp(r), r = |f|.
    A rotation by an angle that depends on the radius alone preserves areas (its Jacobian determinant is 1), so
    p(x) = 1/K Σ_k N(R(−θ(|x|) − 2πk/K) x; (1, 0), diag(radial², tangential²)) exactly.
    Johnson et al. 2016 rotate by an angle of the first coordinate instead, whose inverse has no closed form.

    Args:
        arms: K.
        radial, tangential: standard deviations along and across an arm.
        rate: strength of the twist.
    """

    def __init__(self, arms: int = 5, radial: float = 0.3, tangential: float = 0.1, rate: float = 0.25):
        self.arms, self.rate = arms, rate
        self._deviations = np.array([radial, tangential])
        reach = 1 + 8 * max(radial, tangential)
        self.box = np.array([[-reach, -reach], [reach, reach]])
        self.scale = min(radial, tangential) / 2

    def log_density(self, x):
        x = np.asarray(x, np.float64)
        twist = self.rate * np.exp(np.linalg.norm(x, axis=-1))
        squares = [
            np.sum(((_rotated(x, -twist - 2 * np.pi * arm / self.arms) - [1, 0]) / self._deviations) ** 2, -1)
            for arm in range(self.arms)
        ]
        constant = np.log(self.arms * 2 * np.pi * np.prod(self._deviations))
        return logsumexp(-np.stack(squares, -1) / 2, axis=-1) - constant

    def sample(self, n, seed):
        generator = _generator(seed)
        arms = generator.integers(self.arms, size=n)
        straight = generator.standard_normal((n, 2)) * self._deviations + [1, 0]
        return _rotated(straight, 2 * np.pi * arms / self.arms + self.rate * np.exp(np.linalg.norm(straight, axis=-1)))


class Checkerboard(Density):
    """Uniform on the eight dark squares, of side 2, of a 4 × 4 board on [-4, 4)²."""

    LATTICE = 2**20

    def __init__(self):
        self.box = np.array([[-4.0, -4.0], [4.0, 4.0]])
        self.scale = 2.0

    def log_density(self, x):
        squares = np.floor(np.asarray(x, np.float64) / 2)
        dark = (squares.sum(-1) % 2 == 0) & np.all((squares >= -2) & (squares < 2), -1)
        return np.where(dark, -np.log(32), -np.inf)

    def sample(self, n, seed):
        generator = _generator(seed)
        rows, columns = generator.integers(-2, 2, n), generator.integers(0, 2, n)
        corners = 2 * np.stack([rows, 2 * columns - 2 + rows % 2], -1)
        # Midpoints of a fine lattice: exact in float32, where a plain draw may round onto a light square.
        return corners + (generator.integers(self.LATTICE, size=(n, 2)) + 0.5) * (2 / self.LATTICE)

    @property
    def entropy(self):
        return float(np.log(32))


class Gaussian(Density):
    """N(0, Σ) with Σ_ij = correlation^|i−j|.

    Args:
        dimensions: D.
        correlation: of neighbouring coordinates, in (-1, 1).
    """

    def __init__(self, dimensions: int = 8, correlation: float = 0.8):
        if not isinstance(dimensions, int) or dimensions < 1:
            raise UsageError(f"dimensions={dimensions!r} must be an integer ≥ 1")
        self.dimensions = dimensions
        places = np.arange(dimensions)
        self.covariance = correlation ** np.abs(places[:, None] - places)
        self._cholesky = np.linalg.cholesky(self.covariance)
        self.box = np.array([[-8.0] * dimensions, [8.0] * dimensions])
        self.scale = float(np.sqrt(np.linalg.eigvalsh(self.covariance)[0]))

    def log_density(self, x):
        white = np.linalg.solve(self._cholesky, np.asarray(x, np.float64).T)
        return self.dimensions / 2 - np.sum(white**2, 0) / 2 - self.entropy

    def sample(self, n, seed):
        return _generator(seed).standard_normal((n, self.dimensions)) @ self._cholesky.T

    @property
    def entropy(self):
        """½ log det(2πe Σ)."""
        return float(self.dimensions / 2 * np.log(2 * np.pi * np.e) + np.sum(np.log(np.diag(self._cholesky))))


class ToySource(ArraySource):
    """Draws from a density as float32 [N, D], different ones in each split.

    Args:
        name, split: as in `Spec`.
        density: the density, kept as `source.density`.
        num_examples: how many draws.
    """

    def __init__(self, name: str, split: str, density: Density, num_examples: int):
        super().__init__(name, split, density.sample(num_examples, SPLITS.index(split)).astype(np.float32))
        self.density = density


def _rotated(x, angles):
    """x [n, 2] rotated by the angles [n]."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], -1)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))
