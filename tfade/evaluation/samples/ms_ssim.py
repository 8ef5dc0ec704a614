"""Diversity of images by their multi-scale structural similarity: near 0 where a model repeats one image."""

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.checks import checked_images
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result
from tfade.evaluation.samples.distances import generator_of

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
FILTER_SIZE = 11
SIGMA = 1.5  # of the Gaussian window, pixels
SMALLEST_SIDE = 10  # two scales with a window of 5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ms_ssim_diversity(
    *,
    images,
    scales: int | None = None,
    filter_size: int | None = None,
    batch_size: int = 64,
    batches: int | None = 5,
    seed: int = 0,
) -> Result:
    """One minus the mean multi-scale structural similarity of distinct pairs of images.

        MS-SSIM(x, y) = ssim_M^{w_M} Π_{j<M} cs_j^{w_j},   Σ w_j = 1
        cs = (2σ_xy + c₂)/(σ_x² + σ_y² + c₂),   ssim = cs·(2μ_xμ_y + c₁)/(μ_x² + μ_y² + c₁)

    with moments under a Gaussian window (σ = 1.5 pixels), averaged over positions without padding, negative averages
    set to 0, and channels averaged at last. Scale j + 1 has half the side of scale j (means of 2 × 2 pixels,
    the last row or column of an odd side repeated, as TensorFlow does). The five
    weights are those of the paper; where fewer scales are used, their first weights are divided by their sum.

    Args:
        images: uint8 [N, H, W, C], N ≥ 2; all pairs inside of random batches are compared.
        scales: M from 1 to 5, or None for the most that fit a window of `filter_size`, but two at least.
        filter_size: side of the window, odd; None for 11, or where two scales do not fit it the largest that fits them.
            So images of side 176 have 5 scales, 64 have 3, 32 and 28 have 2, all with 11; side 16 has 2 with 7.
        batch_size: images whose pairs are compared, at least 2; N are split into batches as equal
            as possible of about so many, and no image is dropped.
        batches: at most so many batches are used; None for all images.
        seed: of the choice of batches.

    Returns:
        `Result` "ms_ssim_diversity" in [0, 1], with the spread of the batches' means (None for one batch).

    Raises:
        UsageError: not uint8 [N, H, W, C] with 1 or 3 channels, N < 2, or sides too small for the scales and window.

    Reference: Wang, Simoncelli and Bovik 2003, "Multi-scale structural similarity for image quality assessment", eq. 7;
        as a diversity, Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", section 4.2.
    """
    images = checked_images("images", images)
    if len(images) < 2:
        raise UsageError(f"images has {len(images)} image(s); pairs need at least 2")
    batch_size, generator = check_whole("batch_size", batch_size, 2), generator_of(seed)
    scales, filter_size = _legal(min(images.shape[1:3]), scales, filter_size)
    used = len(images) if batches is None else min(len(images), batch_size * check_whole("batches", batches, 1))
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    parts = np.array_split(generator.permutation(len(images))[:used], min(-(-used // batch_size), used // 2))
    similar = [_pairs(np.moveaxis(images[part].astype(np.float64), -1, 1), weights, filter_size) for part in parts]
    protocol = {
        "num_fake": len(images),
        "num_compared": used,
        "pairs": sum(map(len, similar)),
        "pair_batch_size": batch_size,
        "batches": len(parts),
        "batch_seed": seed,
        "shape": list(images.shape[1:]),
        "scales": scales,
        "weights": weights.round(6).tolist(),
        "filter_size": filter_size,
        "filter_sigma": SIGMA,
        "std": "over batches",
        "dtype": "float64",
    }
    spread = np.std([1 - part.mean() for part in similar]) if len(parts) > 1 else None
    # Identical images differ from 1 by rounding alone, on either side.
    return Result("ms_ssim_diversity", max(1 - np.concatenate(similar).mean(), 0.0), spread, protocol)


@gin.register
class MSSSIMDiversity(Metric):
    """One minus the mean multi-scale structural similarity of pairs of samples, and of pairs of real test images.

    Args:
        scales: from 1 to 5, or None for what the images' sides allow.
        filter_size: odd, or None for what the images' sides allow.
        batches: how many batches of 64 images are compared within.
    """

    name = "ms_ssim_diversity"
    default = False

    def __init__(self, scales: int | None = None, filter_size: int | None = None, batches: int = 5):
        for name, value in (("scales", scales), ("filter_size", filter_size)):
            if value is not None:
                check_whole(f"MSSSIMDiversity.{name}", value)
        self.scales, self.filter_size = scales, filter_size
        self.batches = check_whole("MSSSIMDiversity.batches", batches, 1)

    def __call__(self, subject):
        # Samples first: they refuse data that are not images.
        sets = (subject.samples, "samples"), (subject.real_images, f"{subject.real.spec.split} split")
        side = min(subject.real.spec.shape[:2])
        if side < SMALLEST_SIDE and self.scales is None:
            raise NotApplicable(f"images have a side of {side} pixels, and two scales need {SMALLEST_SIDE}")
        settings = {"scales": self.scales, "filter_size": self.filter_size, "batches": self.batches}
        results = []
        for images, split in sets:
            if len(images) < 2:
                raise NotApplicable(f"the {split} hold fewer than 2 images")
            result = ms_ssim_diversity(images=images, seed=subject.seed, **settings)
            results.append(result.with_protocol(**subject.protocol(), fake=split))
        return [results[0].with_real(results[1])]


def _legal(side: int, scales: int | None, filter_size: int | None) -> tuple[int, int]:
    """How many scales, and the side of the window, that images whose shorter side is `side` allow."""
    if scales is not None and check_whole("scales", scales, 1) > len(WEIGHTS):
        raise UsageError(f"scales={scales}; there are weights for 1 to {len(WEIGHTS)}")
    if filter_size is not None and check_whole("filter_size", filter_size, 1) % 2 == 0:
        raise UsageError(f"filter_size={filter_size} is even; give an odd side")
    sides = [side]
    while len(sides) < len(WEIGHTS):
        sides.append(-(-sides[-1] // 2))
    if filter_size is None:
        if side < SMALLEST_SIDE and scales is None:
            raise UsageError(
                f"images have a side of {side} pixels; two scales need at least {SMALLEST_SIDE} (one scale with a "
                "small window is possible: scales=1, filter_size=5)"
            )
        room = sides[(scales or 2) - 1]
        filter_size = min(FILTER_SIZE, room - 1 + room % 2)
    if scales is None:
        scales = sum(size >= filter_size for size in sides)
    if not scales or sides[scales - 1] < filter_size or filter_size < 3:
        raise UsageError(
            f"images have a side of {side} pixels, which halves to {sides[: max(scales, 1)]}; a window of filter_size="
            f"{filter_size} does not fit {max(scales, 1)} scale(s): use fewer scales or a smaller odd window of at "
            "least 3"
        )
    return scales, filter_size


def _pairs(images: np.ndarray, weights: np.ndarray, filter_size: int) -> np.ndarray:
    """MS-SSIM of every two of the images, float64 [n(n − 1)/2]; images are float64 [n, C, H, W] in 0..255."""
    found = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            images = _halved(images)
        found = found * _similarity(images, filter_size, luminance=scale == len(weights) - 1) ** weight
    return found.mean(axis=1)


def _similarity(images: np.ndarray, filter_size: int, luminance: bool) -> np.ndarray:
    """cs, or with the luminance ssim, of every two images, averaged over positions: float64 [n(n − 1)/2, C]."""
    down, across = (_windows(side, filter_size) for side in images.shape[2:])
    mean = down @ images @ across.T
    variance = down @ np.square(images) @ across.T - np.square(mean)
    rows = []
    for i in range(len(images) - 1):
        others = slice(i + 1, None)
        products = mean[i] * mean[others]
        covariance = down @ (images[i] * images[others]) @ across.T - products
        value = (2 * covariance + C2) / (variance[i] + variance[others] + C2)
        if luminance:
            value *= (2 * products + C1) / (np.square(mean[i]) + np.square(mean[others]) + C1)
        rows.append(np.maximum(value.mean(axis=(2, 3)), 0))
    return np.concatenate(rows)


def _windows(side: int, filter_size: int) -> np.ndarray:
    """The Gaussian window at each of its places along one side, as a matrix [side − filter_size + 1, side]."""
    offsets = np.arange(filter_size) - (filter_size - 1) / 2
    window = np.exp(-np.square(offsets) / (2 * SIGMA**2))
    matrix = np.zeros((side - filter_size + 1, side))
    for place in range(len(matrix)):
        matrix[place, place : place + filter_size] = window / window.sum()
    return matrix


def _halved(images: np.ndarray) -> np.ndarray:
    """Means of 2 × 2 pixels; the last row or column of an odd side is repeated."""
    odd = [(0, side % 2) for side in images.shape[2:]]
    images = np.pad(images, [(0, 0), (0, 0), *odd], mode="edge")
    return (images[..., ::2, ::2] + images[..., 1::2, ::2] + images[..., ::2, 1::2] + images[..., 1::2, 1::2]) / 4
