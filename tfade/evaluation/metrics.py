"""The suite's metrics. To add one, write a class:

    @gin.register
    class Sharpness(Metric):
        \"""What it measures; its reference.\"""

        name = "sharpness"

        def __call__(self, subject):
            return [Result("sharpness", value, std, {**subject.protocol(), ...})]

That is all: `select` finds it by its name, `evaluate` times it, saves it and prints it. A metric asks `Subject` for
samples, real images and the classifier's judgements, which are computed once for all metrics, and raises
`NotApplicable(reason)` where it does not fit. Its settings are constructor arguments with defaults, which gin can bind.
Results whose name ends in `_real` are the same numbers of real data; the table prints them beside the model's. A
`Figure` among the results is a picture for the report.
"""

import abc

import gin
import numpy as np

from tfade.data.toy import Mixture
from tfade.errors import UsageError
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.latents.latent_model import pixel_protocol
from tfade.evaluation.likelihood.nll import bits_per_dim, negative_log_likelihood
from tfade.evaluation.result import Figure, Result
from tfade.evaluation.samples.frechet import frechet_distance
from tfade.evaluation.samples.modes import high_quality_share, mode_coverage, mode_divergence, stacked_mode_distribution
from tfade.evaluation.samples.moments import Moments
from tfade.evaluation.samples.reconstruction import ErrorSums, same_label_share
from tfade.evaluation.subject import NotApplicable, Subject

REAL = "_real"


class Metric(abc.ABC):
    """One line of the suite.

    Attributes:
        name: what users type and what its file is called; lower case with underscores.
        default: whether it belongs to an evaluation that names no metrics, as at the end of a training: seconds, not
            minutes.
    """

    name: str
    default: bool = True

    @abc.abstractmethod
    def __call__(self, subject: Subject) -> list[Result | Figure]:
        """Measures the subject: results, the most telling first, and figures.

        Raises:
            NotApplicable: the metric does not fit this model or these data.
        """


@gin.register
class ModeCoverage(Metric):
    """Modes that samples reach: of stacked digits, with the KL of their histogram, or components of a 2-D mixture.

    Of a mixture, a sample is one of the nearest component if it lies within 3σ of its centre; the share of those that
    do stands beside. Of stacked digits, samples are compared with the modes of the training split, which the model
    learnt; real test images with those of their own split: label frequencies of small splits differ, and neither set
    should pay for that.

    Args:
        deviations: how many σ from its centre a component of a mixture reaches.
    """

    name = "mode_coverage"

    def __init__(self, deviations: float = 3.0):
        if not deviations > 0:
            raise UsageError(f"ModeCoverage.deviations={deviations!r} is not positive; 3 is usual")
        self.deviations = deviations

    def __call__(self, subject):
        density = getattr(subject.real, "density", None)
        if isinstance(density, Mixture):
            return self._of_mixture(subject, density)
        if subject.train.stacked is None or subject.real.stacked is None:
            raise NotApplicable(
                f"data {subject.real.spec.name!r} are neither stacked nor a mixture: their modes are not known"
            )
        model = self._judge(subject, subject.judged_samples.modes, subject.train, "num_fake")
        real = self._judge(subject, subject.judged_real.modes, subject.real, "num_real")
        return model + [result.renamed(result.name + REAL) for result in real]

    def _of_mixture(self, subject, density: Mixture):
        of = {"centres": density.centres, "radius": self.deviations * density.sigma}
        real = subject.real.fetch(np.arange(subject.real.spec.num_examples))
        results = []
        for points, suffix in ((subject.sampled_vectors, ""), (real, REAL)):
            found = mode_coverage(points=points, **of), high_quality_share(points=points, **of)
            results += [result.with_protocol(**subject.protocol()).renamed(result.name + suffix) for result in found]
        return results

    @staticmethod
    def _judge(subject, modes, source, count):
        reference = stacked_mode_distribution(source)
        protocol = {
            **subject.protocol(),
            **subject.classifier.protocol,
            count: len(modes),
            "num_modes": len(reference),
            "reference": f"labels of the {source.spec.split} split",
        }
        found = mode_coverage(modes=modes, num_modes=len(reference)), mode_divergence(modes=modes, reference=reference)
        return [Result(result.name, result.value, result.std, protocol) for result in found]


@gin.register
class ClassifierFrechetDistance(Metric):
    """Fréchet distance of real test images and samples in the classifier's features; no FID, which is Inception's.

    Beside it, the distance of the same test images and as many training images: what a model that repeats its
    training data would get.
    """

    name = "classifier_frechet_distance"

    def __call__(self, subject):
        origin = subject.classifier.protocol
        real = Moments(subject.judged_real.features, protocol=origin)
        judged_train = subject.extract(subject.train_images, subject.classifier)
        results = []
        for features, suffix, fake_split in (
            (subject.judged_samples.features, "", "samples"),
            (
                judged_train.features,
                REAL,
                f"{subject.train.spec.split} split",
            ),
        ):
            result = frechet_distance(real=real, fake=Moments(features, protocol=origin))
            results.append(result.with_protocol(**subject.protocol(), fake=fake_split).renamed(self.name + suffix))
        return results


@gin.register
class ReconstructionError(Metric):
    """Error of reconstructions of the whole split, and for labelled data the share that shows the same label."""

    name = "reconstruction_error"

    def __call__(self, subject):
        labelled = subject.labelled
        sums, same = ErrorSums(), ([], [])
        for images, reconstructed in subject.reconstructions():
            sums.update(real=images, fake=reconstructed)
            if labelled:
                same[0].extend(subject.classifier.modes(images, subject.batch_size).tolist())
                rounded = to_uint8("reconstructions", reconstructed, subject.real.spec.shape)
                same[1].extend(subject.classifier.modes(rounded, subject.batch_size).tolist())
        protocol = subject.protocol()
        if not labelled:
            protocol["same_label_share"] = "not applicable: the data have no labels"
        results = [result.with_protocol(**protocol) for result in sums.results()]
        if labelled:
            share = same_label_share(real=same[0], fake=same[1], num_modes=subject.classifier.num_modes)
            results.append(share.with_protocol(**protocol, **subject.classifier.protocol))
        return results


@gin.register
class Likelihood(Metric):
    """-log p of the whole split, in nats and for images in bits per dimension, of models that have a likelihood.

    A model without one, such as a GAN, gets the bound of an inference network around its frozen generator, if the
    subject says how to fit it (Lucas et al. 2019 print it in brackets). Where the data are draws from a known density,
    its own -log p of them stands beside: what no model beats on average.

    Args:
        draws: draws of dequantisation noise (or of codes, where `log_prob` is a bound) for each example.
    """

    name = "likelihood"

    def __init__(self, draws: int = 1):
        if draws < 1:
            raise UsageError(f"Likelihood.draws={draws!r} is below 1")
        self.draws = draws

    def __call__(self, subject):
        model = subject.likelihood_model
        log_prob = subject.log_prob(self.draws)
        results = [negative_log_likelihood(log_prob=log_prob)]
        levels = getattr(model, "levels", None)
        if subject.real.spec.is_image and levels != 2:
            dimensions = int(np.prod(subject.real.spec.shape))
            results.insert(0, bits_per_dim(log_prob=log_prob, dimensions=dimensions, continuous=levels is None))
        protocol = {
            **subject.protocol(),
            "likelihood": model.likelihood,
            "inference": "its own" if model is subject.model else "fitted around the frozen generator, with one σ",
            "draws": self.draws,
            "of": "a density" if levels is None else f"a pmf of {levels} levels",
        }
        if subject.real.spec.is_image:
            protocol |= pixel_protocol(model) | getattr(model, "fit_protocol", {})
            if model.likelihood == "exact" and self.draws > 1 and levels is None:
                protocol["dequantisation"] = f"noise by image, mean over draws 0 to {self.draws - 1}"
        if density := getattr(subject.real, "density", None):
            examples = subject.real.fetch(np.arange(subject.real.spec.num_examples))
            true = negative_log_likelihood(log_prob=density.log_density(examples))
            results.append(true.renamed(true.name + REAL))
        return [result.with_protocol(**protocol) for result in results]
