"""The likelihood of codes under the prior, of training and of held-out examples."""

import gin
import numpy as np

from tfade.contract import CODES
from tfade.errors import check_choice
from tfade.evaluation.answers import answers
from tfade.evaluation.latents.codes import codes_of, prior_of
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result


@gin.register
class CodeLikelihood(Metric):
    """-E log p(z) in nats, p being the prior, over codes of the test split and of the training split.

    A density that was fitted to training codes and overfits them shows a gap. The numbers of two models compare only
    where their codes are the same: a code that is scaled by c has a density 1/c as large.

    Args:
        codes: "centres" of the posteriors, or "samples", a draw of each.
    """

    name = "code_likelihood"
    default = False

    def __init__(self, codes: str = "centres"):
        check_choice("CodeLikelihood.codes", codes, CODES)
        self.codes = codes

    def __call__(self, subject):
        prior = prior_of(subject)
        if not subject.model.answers("codes"):
            raise NotApplicable(f"{type(subject.model).__name__} has no encoder")
        results = []
        for name, source in (("code_nll", subject.real), ("training_code_nll", subject.train)):
            found = answers(
                subject,
                lambda images, condition, seed: prior.log_prob(
                    codes_of(subject.model, images, condition, seed, self.codes)
                ),
                source,
                f"codes of {source.spec.split}",
            )
            nats = -np.concatenate([np.asarray(each, np.float64) for *_, each in found])
            error = float(nats.std(ddof=1) / np.sqrt(len(nats))) if len(nats) > 1 else None
            stated = {**subject.protocol(), "split": source.spec.split, "codes": self.codes, "num_codes": len(nats)}
            results.append(Result(name, float(nats.mean()), error, {**stated, **subject.model.code_protocol}))
        return results
