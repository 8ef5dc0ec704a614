"""A map of the latent space: codes of data and of the prior in the plane."""

import gin
import numpy as np

from tfade.errors import UsageError, check_positive, check_whole
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.codes import prior_latents
from tfade.evaluation.metric import Metric
from tfade.evaluation.plots import figure_png, panels_of
from tfade.evaluation.result import Figure

LABELS_SHOWN = 20
EXACT = 200  # codes up to which t-SNE computes all pairs


@gin.register
class LatentMap(Metric):
    """A map of the latent space: codes of data and of the prior in the plane, by t-SNE, with the data's labels.

    Args:
        num_codes: of either kind; 1,000 take about ten seconds on two cores.
        perplexity: of t-SNE.
    """

    name = "latent_map"
    default = False

    def __init__(self, num_codes: int = 1000, perplexity: float = 30.0):
        check_positive("LatentMap.perplexity", perplexity)
        self.num_codes, self.perplexity = check_whole("LatentMap.num_codes", num_codes, 2), perplexity

    def __call__(self, subject):
        drawn = subject.posteriors.draw(self.num_codes, subject.seed)
        codes = np.concatenate([drawn.codes, prior_latents(subject, self.num_codes, 3)])
        points = planar(codes=codes, seed=subject.seed, perplexity=self.perplexity)
        labels = subject.train.labels(drawn.indices) if subject.train.spec.num_classes else None
        dimensions = codes.shape[1]
        how = "as they are" if dimensions <= 2 else f"t-SNE of perplexity {self.perplexity:g}"
        caption = f"{self.num_codes} codes of training images and as many of the prior, {dimensions}-D: {how}."
        return [
            map_figure(points[: self.num_codes], points[self.num_codes :], labels, caption),
        ]


def planar(*, codes, seed: int = 0, perplexity: float = 30.0) -> np.ndarray:
    """Points in the plane, neighbours where codes are neighbours: float64 [N, 2] by t-SNE.

    Codes of two dimensions are returned as they are, of one on a line.

    Args:
        codes: [N, D], N above `perplexity`.
        seed: of t-SNE.
        perplexity: of t-SNE, about the number of neighbours that are kept together.

    Raises:
        UsageError: codes that are not finite [N, D], or too few.

    Reference: van der Maaten and Hinton 2008.
    """
    codes = checked_features("codes", codes)
    if codes.shape[1] <= 2:
        return np.concatenate([codes, np.zeros((len(codes), 2 - codes.shape[1]))], axis=1)
    if not 0 < perplexity < len(codes):
        raise UsageError(f"perplexity={perplexity!r} of {len(codes)} codes; it must be positive and below their number")
    from sklearn.manifold import TSNE  # scikit-learn takes a second to import

    # The exact gradient is the quicker one for few; its threads do not wait for each other at every step.
    method = "exact" if len(codes) <= EXACT else "barnes_hut"
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed, method=method).fit_transform(codes)
    return points.astype(np.float64)


def map_figure(posterior, prior, labels, caption: str) -> Figure:
    """Two panels of the same points: prior and posterior by colour; the posterior's labels where there are.

    Args:
        posterior, prior: points [N, 2] and [M, 2].
        labels: integers [N], or None.
        caption: of the figure.
    """
    figure, axes = panels_of(1 if labels is None else 2, width=5.5, height=5.0)
    for points, label, colour in ((prior, "prior", "0.6"), (posterior, "posterior", "C0")):
        axes[0].scatter(*points.T, s=3, color=colour, linewidths=0, label=label)
    axes[0].legend(markerscale=4)
    if labels is not None:
        classes = np.unique(labels)
        shown = axes[1].scatter(*posterior.T, s=3, c=np.searchsorted(classes, labels), cmap="tab20", linewidths=0)
        if len(classes) <= LABELS_SHOWN:
            handles = shown.legend_elements(num=None)[0]
            axes[1].legend(handles, [str(label) for label in classes], fontsize=7, title="label")
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    return Figure("latent_map", caption, figure_png(figure))
