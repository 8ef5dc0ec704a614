"""GAN-train and GAN-test: accuracies of classifiers trained on samples and on data."""

from collections.abc import Callable

import gin
import numpy as np

from tfade.data.source import ArraySource
from tfade.errors import UsageError, check_positive, check_sizes
from tfade.evaluation.checks import checked_integers
from tfade.evaluation.features.classifier import Classifier, train_classifier
from tfade.evaluation.features.images import as_levels
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import NotApplicable, Result


def classification_scores(
    *,
    real,
    real_labels,
    fake,
    fake_labels,
    test,
    test_labels,
    num_classes: int,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    value_range: tuple[float, float] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """Accuracies of two classifiers: one that learnt from samples, and one that learnt from data.

    GAN-train is low where samples lack modes or do not show their class; GAN-test is low only for the second reason.
    With equally many samples and data, GAN-train is comparable with its real-data counterpart.

    Args:
        real, real_labels: the generator's training images [N, H, W, C] and their classes, integers [N].
        fake, fake_labels: samples [M, H, W, C] and the classes that they were drawn for.
        test, test_labels: images that neither has seen.
        num_classes: K; labels are in [0, K).
        steps, batch_size, learning_rate, seed: of both trainings; see `train_classifier`.
        value_range: of floating-point images; see `as_levels`.
        progress: receives lines of text.

    Returns:
        `Result`s in [0, 1] with binomial standard errors:
        "gan_train": accuracy on `test` of the classifier that learnt from `fake`; its real-data counterpart is that of
            the one that learnt from `real`.
        "gan_test": accuracy on `fake` of the classifier that learnt from `real`.

    Raises:
        UsageError: images of different shapes, invalid images, labels outside the classes or not one for each image.

    Reference: Shmelkov, Schmid and Alahari 2018, "How good is my GAN?", section 3; Ravuri and Vinyals 2019.
    """
    if num_classes < 2:
        raise UsageError(f"num_classes={num_classes} is below 2; a classifier needs two classes")
    given = {"real": (real, real_labels), "fake": (fake, fake_labels), "test": (test, test_labels)}
    sources = {name: _source(name, *pair, num_classes, value_range) for name, pair in given.items()}
    for name in ("fake", "test"):
        if sources[name].spec.shape != sources["real"].spec.shape:
            raise UsageError(
                f"{name} has images of shape {list(sources[name].spec.shape)} and real of "
                f"{list(sources['real'].spec.shape)}; give one shape"
            )
    settings = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    of_fake, of_real = (
        train_classifier(sources[name], sources["test"], progress=progress, **settings) for name in ("fake", "real")
    )
    count = {name: source.spec.num_examples for name, source in sources.items()}
    protocol = {
        "num_real": count["real"],
        "num_fake": count["fake"],
        "num_test": count["test"],
        "num_classes": num_classes,
        **{f"classifier_{name}": value for name, value in settings.items()},
    }
    by_fake, by_real = {**protocol, "classifier_of": "fake"}, {**protocol, "classifier_of": "real"}
    train = _share("gan_train", of_fake.accuracy, count["test"], by_fake)
    return [
        train.with_real(_share("gan_train", of_real.accuracy, count["test"], by_real)),
        _share("gan_test", _accuracy(of_real, sources["fake"]), count["fake"], by_real),
    ]


@gin.register
class ClassificationScores(Metric):
    """GAN-train and GAN-test of a conditional model, whose samples have the class frequencies of the training images.

    Args:
        steps, batch_size, learning_rate: of the two classifiers.
    """

    name = "classification_scores"
    default = False  # it trains two networks

    def __init__(self, steps: int = 400, batch_size: int = 64, learning_rate: float = 3e-3):
        check_sizes("ClassificationScores", steps=steps, batch_size=batch_size)
        check_positive("ClassificationScores.learning_rate", learning_rate)
        self.settings = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}

    def work(self, subject):
        return Work(2 * self.settings["steps"] * self.settings["batch_size"], "images that two classifiers learn from")

    def __call__(self, subject):
        if not subject.labelled:
            raise NotApplicable(subject.unlabelled)
        if subject.train.stacked is not None:
            raise NotApplicable(
                f"data={subject.train.spec.name!r} has {subject.train.spec.num_classes} stacked classes, too many to "
                "train a classifier of each; mode_coverage counts those that samples reach"
            )
        if not subject.model.conditional:
            raise NotApplicable(
                f"{type(subject.model).__name__} is not conditional: GAN-train and GAN-test are of models that sample "
                "a given class"
            )
        train, test = (np.arange(source.spec.num_examples) for source in (subject.train, subject.real))
        results = classification_scores(
            real=subject.train.fetch(train),
            real_labels=subject.train.labels(train),
            fake=subject.samples,
            fake_labels=subject.sampler.labels,
            test=subject.real.fetch(test),
            test_labels=subject.real.labels(test),
            num_classes=subject.train.spec.num_classes,
            seed=subject.seed,
            progress=subject.progress,
            **self.settings,
        )
        return [result.with_protocol(**subject.protocol()) for result in results]


def _source(name: str, images, labels, num_classes: int, value_range) -> ArraySource:
    images = as_levels(images, value_range=None if np.asarray(images).dtype == np.uint8 else value_range, name=name)
    labels = checked_integers(f"{name}_labels", labels, num_classes)
    if len(labels) != len(images):
        raise UsageError(f"{name}_labels has {len(labels)} labels for {len(images)} images; give one for each")
    return ArraySource(name, "train" if name != "test" else "test", images, labels, num_classes)


def _accuracy(classifier: Classifier, source: ArraySource) -> float:
    chosen = np.arange(source.spec.num_examples)
    return float((classifier.modes(source.fetch(chosen)) == source.labels(chosen)).mean())


def _share(name: str, value: float, count: int, protocol: dict) -> Result:
    return Result(name, value, (value * (1 - value) / count) ** 0.5, protocol)
