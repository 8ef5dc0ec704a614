"""Translations between two domains: whether they show what their originals show, look like the domain, and return."""

import gin
import numpy as np

from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import NotApplicable, Result, standard_error
from tfade.evaluation.samples.frechet import frechet_distance
from tfade.evaluation.samples.moments import Moments
from tfade.evaluation.samples.reconstruction import same_label_share
from tfade.evaluation.subject import Subject
from tfade.evaluation.translating import Translated


class TranslationMetric(Metric):
    """A metric of both directions: from the subject's data to those of `subject.other`, and, with "_back", the reverse.

    At most `num_samples` test images of each domain are translated.
    """

    def work(self, subject):
        return Work(2 * min(subject.num_samples, subject.real.spec.num_examples), "translations there and back")

    def __call__(self, subject):
        there, back = subject.translations
        results = []
        for suffix, of_images, source, target in (
            ("", there, subject, subject.other),
            ("_back", back, subject.other, subject),
        ):
            origin = {**source.protocol(), "translated_to": target.real.spec.name, "num_real": len(of_images.indices)}
            for result in self.measure(of_images, source, target):
                results.append(result.renamed(result.name + suffix).with_protocol(**origin))
        return results

    def measure(self, found: Translated, source: Subject, target: Subject) -> list[Result]:
        """Results of one direction."""
        raise NotImplementedError


@gin.register
class TranslatedLabels(TranslationMetric):
    """The share of translations that a classifier of the other domain gives the label of their original.

    Beside it, the share of that domain's own test images to which it gives their label: what an exact translation gets.
    """

    name = "translated_labels"

    def measure(self, found, source, target):
        classes = source.real.spec.num_classes, target.real.spec.num_classes
        if not (source.labelled and target.labelled) or classes[0] != classes[1]:
            raise NotApplicable(f"the domains have {classes[0] or 'no'} and {classes[1] or 'no'} classes, not the same")
        classifier = target.classifier

        def share(images: np.ndarray, labels: np.ndarray) -> Result:
            modes = classifier.modes(images, target.batch_size)
            result = same_label_share(real=labels, fake=modes, num_modes=classifier.num_modes)
            return result.renamed("translated_labels").with_protocol(**classifier.protocol)

        everything = np.arange(target.real.spec.num_examples)
        own = share(target.real.fetch(everything), target.real.labels(everything))
        return [share(found.images, source.real.labels(found.indices)).with_real(own)]


@gin.register
class CycleError(TranslationMetric):
    """Mean absolute error of images that are translated there and back, in units of the range [0, 1].

    Where the exact translation is known, `translation_error` is that of the translations themselves.
    """

    name = "cycle_error"

    def measure(self, found, source, target):
        errors = {"cycle_error": found.cycle_errors, "translation_error": found.errors}
        unit = {"unit": "range [0, 1]"}
        return [
            Result(name, values.mean(), standard_error(values), unit)
            for name, values in errors.items()
            if values is not None
        ]


@gin.register
class TranslationFrechetDistance(TranslationMetric):
    """Fréchet distance of translations and test images of their domain, in the features of its classifier.

    Beside it, that of the domain's training images and the same test images. With an extractor of the user's, the
    features are that extractor's.
    """

    name = "translation_frechet_distance"

    def measure(self, found, source, target):
        extractor = source.extractor or target.extractor or target.classifier
        real, fake, train = (
            Moments(target.extract(images, extractor).features, protocol=extractor.protocol)
            for images in (target.real_images, found.images, target.train_images)
        )
        result = frechet_distance(real=real, fake=fake).with_protocol(fake="translations")
        counterpart = frechet_distance(real=real, fake=train).with_protocol(fake=f"{target.train.spec.split} split")
        return [result.renamed("translation_frechet_distance").with_real(counterpart)]
