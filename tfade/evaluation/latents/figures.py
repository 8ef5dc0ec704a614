"""Pictures of the latent space: samples where q(z) is low, what is unlike data about them, and a map of codes."""

import io

import numpy as np

from tfade import pictures
from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features
from tfade.evaluation.result import Figure
from tfade.evaluation.samples.distances import nearest

BINS = 50
LABELS_SHOWN = 20
EXACT = 200  # codes up to which t-SNE computes all pairs


def nearest_images(*, queries, images) -> np.ndarray:
    """The index of the nearest of `images` to each query by Euclidean distance, the first of equals: int64 [Q].

    Args:
        queries: uint8 [Q, H, W, C].
        images: uint8 [N, H, W, C].

    Raises:
        UsageError: images of unlike shapes.
    """
    queries, images = np.asarray(queries), np.asarray(images)
    if queries.shape[1:] != images.shape[1:]:
        raise UsageError(f"queries have shape {list(queries.shape[1:])} and images {list(images.shape[1:])}")
    flat = (part.reshape(len(part), np.prod(part.shape[1:])) for part in (queries, images))
    return nearest(*flat)[1][:, 0]


def low_posterior_figure(lowest, neighbours, ordinary, stacked: bool = False) -> Figure:
    """Three grids side by side: the samples of least q(z), their nearest training images, and ordinary samples."""
    parts = [pictures.grid(images, stacked=stacked) for images in (lowest, neighbours, ordinary)]
    gap = np.full((parts[0].shape[0], 3 * pictures.GAP, 3), 255, np.uint8)
    picture = np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)
    caption = (
        f"Left, of all samples the {len(lowest)} whose codes are least likely under the aggregate posterior; middle, "
        f"the nearest training image of each; right, {len(ordinary)} samples as they come."
    )
    return Figure("low_posterior_samples", caption, pictures.png(pictures.magnified(picture)))


def histograms(panels: dict[str, dict[str, np.ndarray]], name: str, caption: str) -> Figure:
    """Panels of densities: title → {legend: numbers}."""
    figure, axes = _figure(len(panels))
    for axis, (title, series) in zip(axes, panels.items()):
        edges = np.histogram_bin_edges(np.concatenate([np.ravel(values) for values in series.values()]), BINS)
        for label, values in series.items():
            axis.hist(np.ravel(values), edges, density=True, histtype="step", linewidth=1.5, label=label)
        axis.set(xlabel=title, ylabel="density")
        axis.legend(fontsize=7)
    return Figure(name, caption, _png(figure))


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
        caption: what it says beside.
    """
    figure, axes = _figure(1 if labels is None else 2, width=5.5, height=5.0)
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
    return Figure("latent_map", caption, _png(figure))


def _figure(panels: int, width: float = 4.5, height: float = 3.6):
    from matplotlib.figure import Figure as Canvas

    figure = Canvas((width * panels, height), dpi=120, layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
