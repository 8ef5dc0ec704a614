"""The Fréchet distance of decoded posterior codes: what the autoencoder allows, whatever the density of its codes."""

import gin
import numpy as np

from tfade.contract import CODES
from tfade.errors import check_choice
from tfade.evaluation.answers import answers
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.latents.codes import codes_of
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable
from tfade.evaluation.samples.frechet import frechet_distance
from tfade.evaluation.samples.moments import Moments
from tfade.evaluation.subject import Subject


@gin.register
class ReconstructionFrechetDistance(Metric):
    """Fréchet distance of real test images and decoded codes of training images, in the subject's extractor.

    A density of codes that is the aggregate posterior of the training data exactly has this distance; beside the
    distance of samples it tells what is lost to the prior. Training images are decoded and test images compared with,
    as for samples: reconstructions of the test images themselves would be nearer.

    Args:
        codes: "samples", a draw of each image's posterior, or "centres".
    """

    name = "reconstruction_frechet_distance"
    default = False

    def __init__(self, codes: str = "samples"):
        check_choice("ReconstructionFrechetDistance.codes", codes, CODES)
        self.codes = codes

    def __call__(self, subject):
        subject.require_images()
        for question in ("encode", "decode"):
            if not subject.model.answers(question):
                raise NotApplicable(f"{type(subject.model).__name__} does not {question}")
        extractor = subject.feature_extractor
        images = decoded_codes(subject, self.codes)
        real, fake, train = (
            Moments(each.features, protocol=extractor.protocol)
            for each in (subject.extracted_real, subject.extract(images), subject.extracted_train)
        )
        stated = {**subject.protocol(), **subject.model.code_protocol, "codes": self.codes}
        result = frechet_distance(real=real, fake=fake).with_protocol(fake="decoded codes of training images", **stated)
        counterpart = frechet_distance(real=real, fake=train).with_protocol(fake=f"{subject.train.spec.split} split")
        return [result.renamed(self.name).with_real(counterpart.renamed(self.name))]


def decoded_codes(subject: Subject, codes: str) -> np.ndarray:
    """Decoded codes of as many training images as there are samples, chosen evenly: uint8 [n, H, W, C]."""
    model, source = subject.model, subject.train
    count = min(subject.num_samples, source.spec.num_examples)
    chosen = np.linspace(0, source.spec.num_examples - 1, count).astype(np.int64)

    def decoded(images, condition, seed):
        return model.decode(codes_of(model, images, condition, seed, codes), **condition)

    found = answers(subject, decoded, source, "decoded codes", chosen)
    return np.concatenate([to_uint8("reconstructions", each, source.spec.shape) for *_, each in found])
