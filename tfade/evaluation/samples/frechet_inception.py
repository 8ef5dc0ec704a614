"""The Fréchet inception distance: the Fréchet distance that alone is called FID."""

from typing import Any

import gin

from tfade.errors import UsageError
from tfade.evaluation.features.inception import INCEPTION, is_inception
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result
from tfade.evaluation.samples.frechet import distance_of_samples, frechet_distance
from tfade.evaluation.samples.moments import Moments


def frechet_inception_distance(*, real, fake) -> Result:
    """FID: the Fréchet distance of pool_3 features of the Inception of 2015-12-05.

        FID = ‖m_r − m_f‖² + tr(S_r + S_f − 2·(S_r S_f)^½)

    Args:
        real: `Moments` of data's features, whose protocol is an `InceptionExtractor`'s.
        fake: `Moments` of samples' features, of the same extractor and resize.

    Returns:
        `Result` "frechet_inception_distance", at least 0, without an uncertainty. It is biased upwards for finite sets:
        compare only numbers of equal N.

    Raises:
        UsageError: features of another network, or whose origin is not stated; and as `frechet_distance`.

    Reference: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", eq. 6.
    """
    for name, moments in (("real", real), ("fake", fake)):
        if not isinstance(moments, Moments) or not is_inception(moments.protocol) or "resize" not in moments.protocol:
            origin = (
                f"Moments of {moments.protocol.get('extractor', 'an unknown extractor')!r}"
                if isinstance(moments, Moments)
                else type(moments).__name__
            )
            raise UsageError(
                f"{name} is {origin}; a distance is an FID only in features of {INCEPTION}: give "
                "Moments(features, protocol=InceptionExtractor(...).protocol), or use frechet_distance"
            )
    return frechet_distance(real=real, fake=fake).renamed("frechet_inception_distance")


@gin.register
class FrechetInceptionDistance(Metric):
    """FID of real test images and samples; its counterpart is that of the test images and as many training images.

    Args:
        extractor: an `InceptionExtractor`; None for the subject's extractor, if it is one.
    """

    name = "frechet_inception_distance"
    default = False  # an hour on a CPU: the network takes 0.12 s of one core for each of 30,000 images

    def __init__(self, extractor: Any = None):
        if extractor is not None and not is_inception(extractor.protocol):
            raise UsageError(
                f"FrechetInceptionDistance.extractor is {extractor.protocol.get('extractor')!r}; an FID needs "
                f"{INCEPTION}. The metric frechet_distance takes any extractor"
            )
        self.extractor = extractor

    def __call__(self, subject):
        extractor = self.extractor if self.extractor is not None else subject.extractor
        if extractor is None or not is_inception(extractor.protocol):
            raise NotApplicable(
                "FID needs the Inception of 2015-12-05: bind FrechetInceptionDistance.extractor = "
                "@InceptionExtractor() and InceptionExtractor.path = '…/classify_image_graph_def.pb'; "
                "frechet_distance and classifier_frechet_distance need no such file"
            )
        return [distance_of_samples(subject, extractor, frechet_inception_distance)]
