"""Scores of class probabilities: the Inception score, when Inception gave them, and the MODE score."""

import warnings
from collections.abc import Callable

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.checks import checked_probabilities
from tfade.evaluation.features.extractors import Extracted
from tfade.evaluation.features.inception import is_inception
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result
from tfade.evaluation.samples.against_real import require_at_least, with_origin
from tfade.evaluation.samples.distances import generator_of
from tfade.evaluation.subject import Subject

VARIANTS = {
    "generated": "exp(E KL(p(y|x)||p_gen) - KL(p_gen||p_train))",
    "generated_reversed": "exp(E KL(p(y|x)||p_gen) - KL(p_train||p_gen))",
    "training": "exp(E KL(p(y|x)||p_train) - KL(p_gen||p_train))",
    "training_reversed": "exp(E KL(p(y|x)||p_train) - KL(p_train||p_gen))",
}


def inception_score(*, probabilities, splits: int = 10, seed: int | None = 0) -> Result:
    """How certain the classes are and how evenly they occur.

        IS = exp(E_x KL(p(y|x) ‖ p(y))),   p(y) = E_x p(y|x)

    of each split, whose examples are i·N//splits to (i+1)·N//splits after a shuffle. It is between 1 and the number of
    classes, and grows with the size of a split.

    Args:
        probabilities: p(y|x) of samples, [N, K]; for an Inception score those of Inception's 1,008 logits without bias.
        splits: at least 1, at most N; 10 in the paper.
        seed: of the shuffle; None keeps the order, which ruins the score of samples that are sorted by class.

    Returns:
        `Result` "inception_score": mean over the splits, and their population standard deviation (None for one split).

    Raises:
        UsageError: no probabilities [N, K] (logits?), NaN or infinite, rows not summing to 1, or N < splits.

    Reference: Salimans et al. 2016, "Improved Techniques for Training GANs", section 4; their code for the splits.
    """
    pieces = _splits(probabilities, splits, seed)
    values = np.exp([_mean_divergence(piece, piece.mean(axis=0)) for piece in pieces])
    return _summary("inception_score", values, pieces, seed, {})


def mode_score(
    *, probabilities, reference, variant: str = "generated", splits: int = 10, seed: int | None = 0
) -> Result:
    """The Inception score with a penalty where the classes do not occur as often as in the training data.

        generated            exp(E_x KL(p(y|x) ‖ p_gen)   − KL(p_gen ‖ p_train))
        generated_reversed   exp(E_x KL(p(y|x) ‖ p_gen)   − KL(p_train ‖ p_gen))
        training             exp(E_x KL(p(y|x) ‖ p_train) − KL(p_gen ‖ p_train))
        training_reversed    exp(E_x KL(p(y|x) ‖ p_train) − KL(p_train ‖ p_gen))

    with p_gen = E_x p(y|x) over a split of the samples. All four are in circulation as "the" MODE score. "training"
    equals the Inception score whatever p_train is, since E KL(p(y|x) ‖ p_train) = E KL(p(y|x) ‖ p_gen) +
    KL(p_gen ‖ p_train).

    Args:
        probabilities: p(y|x) of samples, [N, K].
        reference: p(y|x) of training data, [M, K], or their mean p_train, [K].
        variant: which of the formulas.
        splits, seed: as in `inception_score`.

    Returns:
        `Result` "mode_score": mean over the splits and their population standard deviation. A reversed variant is 0,
        with a warning, where a class of the training data has probability 0 in all samples.

    Raises:
        UsageError: as `inception_score`; an unknown variant; a reference of other classes, or with a class of
            probability 0 that makes the score's divergence infinite.

    Reference: Che et al. 2017, "Mode Regularized Generative Adversarial Networks", section 4.1; the default is the
        reading of Xu et al. 2018, "An empirical study on evaluation metrics of generative adversarial networks",
        section 2; "training" is what the code of Grover et al. 2018 (Flow-GAN) computes.
    """
    if variant not in VARIANTS:
        raise UsageError(f"variant={variant!r} is unknown; give {', '.join(map(repr, VARIANTS))}")
    pieces = _splits(probabilities, splits, seed)
    train = _marginal(reference, pieces[0].shape[1])
    inner, reverse = variant.partition("_")[::2]
    if (inner == "training" or not reverse) and (empty := _unreached(np.concatenate(pieces).mean(axis=0), train)):
        raise UsageError(
            f"reference gives {len(empty)} class(es), such as {empty[0]}, probability 0, and samples do not: the "
            "divergence is infinite; give the classes of the training data"
        )
    exponents = []
    for piece in pieces:
        generated = piece.mean(axis=0)
        penalty = _divergence(train, generated) if reverse else _divergence(generated, train)
        exponents.append(_mean_divergence(piece, generated if inner == "generated" else train) - penalty)
    if np.isinf(exponents).any():
        warnings.warn(
            "a class of reference has probability 0 in all samples of a split, whose score is therefore 0", stacklevel=2
        )
    return _summary("mode_score", np.exp(exponents), pieces, seed, {"variant": variant, "formula": VARIANTS[variant]})


@gin.register
class InceptionScore(Metric):
    """The Inception score of samples; under the name `classifier_score` where another network gave the probabilities.

    Args:
        splits: at least 1.
    """

    name = "inception_score"
    default = False

    def __init__(self, splits: int = 10):
        self.splits = check_whole("InceptionScore.splits", splits, 1)

    def __call__(self, subject):
        name = "inception_score" if is_inception(subject.feature_extractor.protocol) else "classifier_score"

        def measure(probabilities):
            return inception_score(probabilities=probabilities, splits=self.splits, seed=subject.seed).renamed(name)

        return _scores(subject, self.splits, measure)


@gin.register
class ModeScore(Metric):
    """The MODE score of samples, with the classes of as many training images as reference.

    Args:
        variant: which of the formulas in circulation; see `tfade.evaluation.mode_score`.
        splits: at least 1.
    """

    name = "mode_score"
    default = False

    def __init__(self, variant: str = "generated", splits: int = 10):
        if variant not in VARIANTS:
            raise UsageError(f"ModeScore.variant={variant!r} is unknown; give {', '.join(map(repr, VARIANTS))}")
        self.variant, self.splits = variant, check_whole("ModeScore.splits", splits, 1)

    def __call__(self, subject):
        reference = _probabilities(subject.extracted_train).mean(axis=0)

        def measure(probabilities):
            result = mode_score(
                probabilities=probabilities,
                reference=reference,
                variant=self.variant,
                splits=self.splits,
                seed=subject.seed,
            )
            return result.with_protocol(
                reference=f"{len(subject.train_images)} images of the {subject.train.spec.split} split"
            )

        return _scores(subject, self.splits, measure)


def _scores(subject: Subject, splits: int, measure: Callable[[np.ndarray], Result]) -> list[Result]:
    """`measure(probabilities)` of the samples, with the real test images as counterpart: a score is of one set."""
    samples, real = _probabilities(subject.extracted_samples), _probabilities(subject.extracted_real)
    require_at_least("samples and real images", min(len(samples), len(real)), splits)
    found = with_origin(subject, measure(samples), fake="samples")
    return [found.with_real(with_origin(subject, measure(real), fake=f"{subject.real.spec.split} split"))]


def _probabilities(extracted: Extracted) -> np.ndarray:
    if extracted.probabilities is None:
        raise NotApplicable("the extractor gives no class probabilities")
    if extracted.probabilities.ndim != 2:
        # One distribution over all K³ modes would need far more samples a split than it has modes.
        raise NotApplicable("the extractor classifies each channel on its own; mode_coverage counts their combinations")
    return extracted.probabilities


def _splits(probabilities, splits: int, seed: int | None) -> list[np.ndarray]:
    array = checked_probabilities("probabilities", probabilities)
    count, splits = len(array), check_whole("splits", splits, 1)
    if count < splits:
        raise UsageError(f"probabilities has {count} rows, fewer than splits={splits}; give more samples")
    array = array / array.sum(axis=1, keepdims=True)
    if seed is not None:
        array = array[generator_of(seed).permutation(count)]
    return [array[i * count // splits : (i + 1) * count // splits] for i in range(splits)]


def _marginal(reference, classes: int) -> np.ndarray:
    mean = checked_probabilities("reference", reference, ranks=(1, 2)).reshape(-1, np.shape(reference)[-1]).mean(axis=0)
    if len(mean) != classes:
        raise UsageError(f"reference has {len(mean)} classes and probabilities have {classes}; use one classifier")
    return mean / mean.sum()


def _unreached(of: np.ndarray, by: np.ndarray) -> list[int]:
    return np.flatnonzero((of > 0) & (by == 0)).tolist()


def _divergence(first: np.ndarray, second: np.ndarray) -> float:
    """KL(first ‖ second) in nats: infinite where `second` lacks a class that `first` has."""
    return np.inf if _unreached(first, second) else _mean_divergence(first[None], second)


def _mean_divergence(conditional: np.ndarray, marginal: np.ndarray) -> float:
    """E_x KL(p(y|x) ‖ marginal), where the marginal has every class that occurs."""
    seen = marginal > 0
    conditional = conditional[:, seen]
    logs = np.log(np.where(conditional > 0, conditional, 1))
    return float((conditional * (logs - np.log(marginal[seen]))).sum(axis=1).mean())


def _summary(name: str, values: np.ndarray, pieces: list[np.ndarray], seed: int | None, more: dict) -> Result:
    protocol = {
        **more,
        "num_fake": sum(map(len, pieces)),
        "num_classes": pieces[0].shape[1],
        "splits": len(pieces),
        "shuffle_seed": seed,
        "std": "over splits",
        "dtype": "float64",
    }
    return Result(name, values.mean(), values.std() if len(pieces) > 1 else None, protocol)
