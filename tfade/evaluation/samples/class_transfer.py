"""Whether the decoder of a conditional autoencoder uses the class that it is given."""

import gin
import numpy as np

from tfade.evaluation.answers import answers
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable
from tfade.evaluation.samples.reconstruction import same_label_share


@gin.register
class ClassTransfer(Metric):
    """The share of test images whose codes, decoded given the next class, show that class to the classifier.

        class_transfer     P[classifier(G(E(x, y), y + 1 mod K)) = y + 1 mod K]
        class_retained     P[classifier(G(E(x, y), y + 1 mod K)) = y]

    A decoder that uses its class has a transfer near the classifier's accuracy; one whose codes carry the class too
    ignores what it is given, and retains y. Kingma et al. 2014 (semi-supervised learning with deep generative models),
    section 4.3, shows such analogies as pictures. Both are shares in [0, 1] with binomial standard errors; the
    classifier's accuracy on the test images stands beside the first as that of real data.
    """

    name = "class_transfer"
    default = False  # of conditional autoencoders only

    def __call__(self, subject):
        subject.require_images()
        if not subject.model.conditional:
            raise NotApplicable(f"{type(subject.model).__name__} is not conditional: its decoder is given no class")
        classifier, model, source = subject.classifier, subject.model, subject.real
        classes = source.spec.num_classes

        def decoded(images, condition, seed):
            labels = condition["labels"]
            return model.decode(model.codes(images, **condition), **model.conditions((labels + 1) % classes))

        shown, shown_by_real, labels = [], [], []
        for rows, images, decodings in answers(subject, decoded, source, "codes decoded given the next class"):
            decodings = to_uint8("decoded codes", decodings, source.spec.shape)
            shown.extend(classifier.modes(decodings, subject.batch_size))
            shown_by_real.extend(classifier.modes(images, subject.batch_size))
            labels.extend(source.labels(rows))
        labels = np.asarray(labels)

        def share(name, expected, found):
            result = same_label_share(real=expected, fake=found, num_modes=classes).renamed(name)
            return result.with_protocol(**subject.protocol(), **model.code_protocol, **classifier.protocol)

        transfer = share("class_transfer", (labels + 1) % classes, shown)
        real = share("class_transfer", labels, shown_by_real)
        return [transfer.with_real(real), share("class_retained", labels, shown)]
