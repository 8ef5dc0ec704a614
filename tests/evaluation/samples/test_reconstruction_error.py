"""Reconstruction error: hand cases, batching, refusals."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import ErrorSums, same_label_share


def test_hand_case():
    """One image off by 0.5 at a quarter of its pixels, one exact: MAE 1/16, RMSE √(1/32)."""
    real = np.zeros((2, 2, 2, 1), np.uint8)
    fake = np.zeros((2, 2, 2, 1), np.float32)
    fake[0, 0, 0] = 0.5
    absolute, root = ErrorSums().update(real=real, fake=fake).results()
    np.testing.assert_allclose([absolute.value, root.value], [1 / 16, np.sqrt(1 / 32)], rtol=1e-12)
    # Standard errors: per image (1/8, 0) and (1/16, 0); then d√m = dm/(2√m).
    np.testing.assert_allclose([absolute.std, root.std], [1 / 16, (1 / 32) / (2 * np.sqrt(1 / 32))], rtol=1e-12)
    assert absolute.protocol["num_real"] == 2


def test_identity_and_the_whole_range():
    real = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    absolute, root = ErrorSums().update(real=real, fake=real / 255.0).results()
    assert absolute.value < 1e-7
    assert root.value < 1e-7
    black, white = np.zeros((3, 2, 2, 1), np.uint8), np.ones((3, 2, 2, 1))
    assert [result.value for result in ErrorSums().update(real=black, fake=white).results()] == [1, 1]


def test_batches_and_order_do_not_matter():
    generator = np.random.default_rng(1)
    real = generator.integers(0, 256, (101, 4, 4, 3)).astype(np.uint8)
    fake = generator.random((101, 4, 4, 3), np.float32)
    whole = ErrorSums().update(real=real, fake=fake).results()
    sums, order = ErrorSums(), generator.permutation(101)
    for start in range(0, 101, 10):
        sums.update(real=real[order[start : start + 10]], fake=fake[order[start : start + 10]])
    for one, other in zip(whole, sums.results()):
        np.testing.assert_allclose([one.value, one.std], [other.value, other.std], rtol=1e-12)
    np.testing.assert_allclose(whole[1].value, np.sqrt(np.mean((real / 255.0 - fake) ** 2)), rtol=1e-9)


def test_same_label_share():
    result = same_label_share(real=[1, 2, 3, 4], fake=[1, 2, 3, 5], num_modes=10)
    np.testing.assert_allclose([result.value, result.std], [0.75, np.sqrt(0.75 * 0.25 / 4)])


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (np.full((2, 2, 2, 1), np.nan), "4|8 NaN"),
        (np.full((2, 2, 2, 1), 1.5), "give|gives images in"),
        (np.full((2, 2, 2, 1), -0.5), r"\[-1, 1\]"),
        (np.zeros((2, 2, 2, 1), np.uint8), "uint8"),
        (np.zeros((2, 2, 2, 3)), "shape"),
        (np.zeros((1, 2, 2, 1)), "shape"),
    ],
)
def test_refusals(fake, message):
    with pytest.raises(UsageError, match=message):
        ErrorSums().update(real=np.zeros((2, 2, 2, 1), np.uint8), fake=fake)


def test_refuses_nothing_and_unlike_lengths():
    with pytest.raises(UsageError, match="no images"):
        ErrorSums().results()
    with pytest.raises(UsageError, match="fake has 1 modes and real 2"):
        same_label_share(real=[1, 2], fake=[1], num_modes=10)
