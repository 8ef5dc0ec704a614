"""What is evaluated: a model with its data, and the samples, images and features that metrics share."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tfade.contract import Contract
from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.evaluation.batched import devices
from tfade.evaluation.checks import checked_features, to_uint8
from tfade.evaluation.choice import chosen
from tfade.evaluation.features.classifier import Classifier, StackedClassifier, train_classifier
from tfade.evaluation.features.extractors import Extracted, Extractor
from tfade.evaluation.latents.posterior_kinds import posteriors_of
from tfade.evaluation.latents.posteriors import Posteriors
from tfade.evaluation.progress import ticks
from tfade.evaluation.result import NotApplicable
from tfade.evaluation.sampling import BATCH, Sampler
from tfade.evaluation.translating import Translated, both_ways

BATCHES_A_TICK = 10  # of features: calls of an extractor between two looks at the clock


@dataclasses.dataclass(eq=False)
class Subject:
    """A model and the data that it is compared with. What is costly is computed once, when a metric first asks for it.

    Attributes:
        model: what is evaluated; see `Contract`. Questions that it does not answer make metrics not applicable. A
            conditional model is asked about examples with their labels, and samples the classes of the training data.
        real: the data that it is compared with: the test split.
        train: the data that it learnt from; the classifier learns from it too.
        num_samples: how many samples are drawn, at least 2.
        seed: of the samples, and of the choice where only some of the real images are used.
        batch_size: images at a time.
        cache_dir: folder of cached classifiers and of results of data alone, or None.
        temperature: of the samples; 1 is the model's distribution.
        fit_bound: (model, training data) → a model with a likelihood, for a model that has none; see
            `tfade.training.inference_bound`. None to leave such models without one: fitting takes a training.
        extractor: the feature network of sample metrics, an `Extractor`; None for the classifier.
        validation: data that the model neither learnt from nor is compared with, for choices that a metric makes;
            None for none.
        other: the same model with the data of its second domain, for one that translates; None for the others.
        progress: receives lines of text.
    """

    model: Contract
    real: Source
    train: Source
    num_samples: int = 10_000
    seed: int = 0
    batch_size: int = BATCH
    cache_dir: Any = None
    temperature: float = 1.0
    fit_bound: Callable[[Any, Source], Any] | None = None
    extractor: Extractor | None = None
    validation: Source | None = None
    other: "Subject | None" = None
    progress: Callable[[str], None] = print

    def __post_init__(self):
        if self.num_samples < 2 or self.batch_size < 1:
            raise UsageError(
                f"num_samples={self.num_samples}, batch_size={self.batch_size}; use at least 2 samples in batches of 1"
            )
        if self.real.spec.shape != self.train.spec.shape:
            raise UsageError(
                f"real has images of shape {list(self.real.spec.shape)} and train of {list(self.train.spec.shape)}; "
                "give two splits of one data set"
            )
        if isinstance(self.extractor, type):
            name = self.extractor.__name__
            raise UsageError(f"extractor={name} is a class; write parentheses after its name, as in @{name}()")
        if self.extractor is not None and not isinstance(self.extractor, Extractor):
            raise UsageError(
                f"extractor={self.extractor!r} has no `protocol` and `outputs`; give an extractor such as "
                "InceptionExtractor(path), or CallableExtractor(function, name) around a function"
            )

    @property
    def labelled(self) -> bool:
        """Whether there are labels to train a classifier from."""
        return self.unlabelled is None

    @functools.cached_property
    def unlabelled(self) -> str | None:
        """Why no classifier can be trained from the labels; None where one can."""
        name = f"data={self.train.spec.name!r}"
        if not (self.train.spec.num_classes and self.real.spec.num_classes):
            return f"{name} has no labels to train a classifier from; give labelled data"
        if self.train.stacked is None:
            present = np.unique(self.train.labels(np.arange(self.train.spec.num_examples)))
            if len(present) < 2:
                return f"{name} has one class in its {self.train.spec.split} split; a classifier needs two"
        return None

    @functools.cached_property
    def samples(self) -> np.ndarray:
        """Images that the model drew, uint8 [num_samples, H, W, C].

        Raises:
            UsageError: samples that are not images of the data's shape, not finite, or outside [0, 1].
            NotApplicable: the data are not images.
        """
        self.require_images()
        shape = self.real.spec.shape
        samples = np.empty((self.num_samples, *shape), np.uint8)
        return self.sampler.fill(samples, lambda x: to_uint8("samples", x, shape))

    @functools.cached_property
    def sampled_vectors(self) -> np.ndarray:
        """Vectors that the model drew, float64 [num_samples, D], of data that are not images.

        Raises:
            UsageError: samples of another D than the data, or not finite.
            NotApplicable: the data are images.
        """
        if self.real.spec.is_image:
            raise NotApplicable(f"data={self.real.spec.name!r} holds images, not vectors")
        (size,) = self.real.spec.shape
        return self.sampler.fill(np.empty((self.num_samples, size)), lambda x: checked_features("samples", x))

    @functools.cached_property
    def sampler(self) -> Sampler:
        """Draws the samples."""
        return Sampler(
            self.model,
            self.train,
            num_samples=self.num_samples,
            batch_size=self.batch_size,
            seed=self.seed,
            temperature=self.temperature,
            progress=self.progress,
        )

    def conditions(self, source: Source, indices: np.ndarray) -> dict:
        """Keyword arguments for a question about these examples of a source: the labels, for a conditional model."""
        return self.model.conditions(source.labels(indices)) if self.model.conditional else {}

    @functools.cached_property
    def real_images(self) -> np.ndarray:
        """As many images of the real split as there are samples, or all where there are fewer: uint8 [n, H, W, C]."""
        return chosen(self.real, self.num_samples, self.seed)

    @functools.cached_property
    def train_images(self) -> np.ndarray:
        """As many training images as there are samples, or all where there are fewer: uint8 [n, H, W, C]."""
        return chosen(self.train, self.num_samples, self.seed)

    @functools.cached_property
    def validation_images(self) -> np.ndarray:
        """As many validation images as there are samples, or all where there are fewer: uint8 [n, H, W, C].

        Raises:
            NotApplicable: there is no validation split.
        """
        if self.validation is None:
            raise NotApplicable("there is no validation split")
        return chosen(self.validation, self.num_samples, self.seed)

    @functools.cached_property
    def classifier(self) -> Classifier | StackedClassifier:
        """A classifier of the training data, trained now or taken from the cache.

        Raises:
            NotApplicable: the data are not images, or have no labels, or one class.
        """
        self.require_images()
        if not self.labelled:
            raise NotApplicable(self.unlabelled)
        return train_classifier(self.train, self.real, cache_dir=self.cache_dir, progress=self.progress)

    @functools.cached_property
    def feature_extractor(self) -> Any:
        """The extractor of sample metrics: the given one, or the classifier.

        Raises:
            NotApplicable: none was given, and there are no labels to train a classifier from.
        """
        return self.classifier if self.extractor is None else self.extractor

    @functools.cached_property
    def extracted_samples(self) -> Extracted:
        """The extractor's outputs for `samples`."""
        return self.extract(self.samples)

    @functools.cached_property
    def extracted_real(self) -> Extracted:
        """The extractor's outputs for `real_images`."""
        return self.extract(self.real_images)

    @functools.cached_property
    def extracted_train(self) -> Extracted:
        """The extractor's outputs for `train_images`."""
        return self.extract(self.train_images)

    def extract(self, images: np.ndarray, extractor=None) -> Extracted:
        """An extractor's outputs for uint8 images, those of `feature_extractor` by default."""
        extractor, size = extractor or self.feature_extractor, BATCHES_A_TICK * len(devices()) * self.batch_size
        starts = ticks(self.progress, "features", range(0, max(len(images), 1), size), len(images))
        parts = [extractor.outputs(images[start : start + size], self.batch_size) for start in starts]
        return Extracted(*(None if pieces[0] is None else np.concatenate(pieces) for pieces in zip(*parts)))

    @functools.cached_property
    def classified_samples(self) -> Extracted:
        """The classifier's outputs for `samples`."""
        return self.extracted_samples if self.extractor is None else self.extract(self.samples, self.classifier)

    @functools.cached_property
    def classified_real(self) -> Extracted:
        """The classifier's outputs for `real_images`."""
        return self.extracted_real if self.extractor is None else self.extract(self.real_images, self.classifier)

    def protocol(self) -> dict:
        """The part of the protocol that every result of the suite states: data and split, sampling, type of images."""
        return {
            "data": self.real.spec.name,
            "split": self.real.spec.split,
            "shape": list(self.real.spec.shape),
            "preprocessing": self.real.spec.preprocessing or "none",
            "images": "uint8",
            "seed": self.seed,
            "temperature": self.temperature,
            "batch_size": self.batch_size,
        }

    def likelihood_protocol(self) -> dict:
        """`protocol`, and of a conditional model that its likelihoods are p(x | y): nobody compares them with p(x)."""
        return self.protocol() | ({"given": "labels"} if self.model.conditional else {})

    @functools.cached_property
    def translations(self) -> tuple[Translated, Translated]:
        """Test images of this domain in the other, and of the other in this; raises NotApplicable as `both_ways`."""
        other = self.other and self.other.real
        return both_ways(self.model, self.real, other, self.num_samples, self.seed, self.batch_size, self.progress)

    @functools.cached_property
    def likelihood_model(self) -> Any:
        """The model, or where it has no likelihood the one that `fit_bound` makes of it.

        Raises:
            NotApplicable: it has none, and none is to be fitted or can be.
        """
        if self.model.likelihood is not None:
            return self.model
        name = type(self.model).__name__
        if self.model.latent_size is None or not self.model.answers("decode"):
            raise NotApplicable(f"{name} has neither a likelihood nor a decoder")
        if self.fit_bound is None:
            raise NotApplicable(
                f"{name} declares no likelihood; --bound fits an inference network around its generator"
            )
        if self.model.conditional:
            raise NotApplicable(f"{name} is conditional; an inference network fits only an unconditional generator")
        self.require_images()
        return self.fit_bound(self.model, self.train)

    @functools.cached_property
    def posteriors(self) -> Posteriors:
        """q(z | x) of every example of the training split, in its order.

        Raises:
            NotApplicable: the model has no encoder.
        """
        return self._posteriors(self.train)

    @functools.cached_property
    def real_posteriors(self) -> Posteriors:
        """q(z | x) of every example of the real split, in its order; raises as `posteriors`."""
        return self._posteriors(self.real)

    def _posteriors(self, source: Source) -> Posteriors:
        total = source.spec.num_examples
        starts = ticks(self.progress, "codes", range(0, total, self.batch_size), total)
        batches = (np.arange(start, min(start + self.batch_size, total)) for start in starts)
        try:
            return posteriors_of(
                lambda rows: self.model.encode(source.fetch(rows), **self.conditions(source, rows)),
                count=total,
                batches=batches,
            )
        except NotImplementedError as error:
            raise NotApplicable(str(error)) from error

    def require_images(self) -> None:
        """Raises NotApplicable if the data are vectors."""
        if not self.real.spec.is_image:
            raise NotApplicable(f"data={self.real.spec.name!r} holds vectors of {self.real.spec.shape[0]}, not images")
