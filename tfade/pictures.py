"""Grids of images, and scatter plots of vectors, as PNG files that a person can read."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tfade import files

GAP = 2  # white pixels between the tiles
SHORTEST_SIDE = 768  # small grids are magnified, by a whole factor, to about this size


def to_uint8(images) -> np.ndarray:
    """uint8 levels of images [n, H, W, C] that are uint8, or float in [0, 1]."""
    images = np.asarray(images)
    return images if images.dtype == np.uint8 else np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def with_channels(images) -> np.ndarray:
    """Each stacked image with its three channels, in grey, to its right: [n, H, W, 3] → [n, H, 4W + 3, 3]."""
    images = to_uint8(images)
    edge = np.full((*images.shape[:2], 1, 3), 128, np.uint8)
    channels = [np.repeat(images[..., c : c + 1], 3, axis=-1) for c in range(3)]
    return np.concatenate([images, *(part for channel in channels for part in (edge, channel))], axis=2)


def grid(images, columns: int | None = None, *, stacked: bool = False) -> np.ndarray:
    """One picture of all images, row by row.

    Args:
        images: [n, H, W, 1 or 3], uint8 or float in [0, 1].
        columns: images in a row; by default as many as rows.
        stacked: show the channels of each image beside it.

    Returns:
        uint8 [height, width, 3]; `magnified` makes a small one fit to look at.
    """
    images = with_channels(images) if stacked else to_uint8(images)
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    count, height, width, _ = images.shape
    columns = columns or max(1, round((count * height / width) ** 0.5))
    rows = -(-count // columns)
    canvas = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = (GAP + index * (size + GAP) for index, size in zip(divmod(place, columns), (height, width)))
        canvas[top : top + height, left : left + width] = image
    return canvas


def magnified(picture: np.ndarray) -> np.ndarray:
    """The picture, if it is small, by a whole factor larger."""
    factor = max(1, round(SHORTEST_SIDE / min(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def before_and_after(images, reconstructions, columns: int, *, stacked: bool = False) -> np.ndarray:
    """A grid with rows of originals, each with the row of their reconstructions below it."""
    images, reconstructions = to_uint8(images), to_uint8(reconstructions)
    missing = -len(images) % columns
    white = np.full((missing, *images.shape[1:]), 255, np.uint8)
    images, reconstructions = np.concatenate([images, white]), np.concatenate([reconstructions, white])
    rows = []
    for start in range(0, len(images), columns):
        rows += [images[start : start + columns], reconstructions[start : start + columns]]
    return grid(np.concatenate(rows), columns, stacked=stacked)


def interpolations(model, first, last, steps: int, condition: Mapping) -> np.ndarray:
    """A row of `steps` images for each pair of `first` and `last`, [n, H, W, C]: straight lines between their codes.

    To their right, where the model's prior is a flow, those in its noise. `condition` are the labels of a conditional
    model.
    """
    spaces = (False,) if model.prior_flow() is None else (False, True)
    parts = [np.asarray(model.interpolate(first, last, steps, in_noise=space, **condition)) for space in spaces]
    grids = [grid(np.concatenate(lines), steps) for lines in parts]
    gap = np.full((len(grids[0]), 4 * GAP, 3), 255, np.uint8)
    return np.concatenate([grids[0], *(part for lines in grids[1:] for part in (gap, lines))], axis=1)


def in_rows(*parts) -> np.ndarray:
    """A grid with a row for each of the parts, [n, H, W, 1 or 3] each, of whatever channels."""
    return np.concatenate([grid(images, len(images)) for images in parts])


def scatter(**points) -> np.ndarray:
    """Panels side by side of the first two dimensions of vectors, on common axes (a histogram for one dimension).

    Args:
        **points: title → vectors [n, D].

    Returns:
        uint8 [height, width, 3].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no global state, and nothing that a user's own plots could meet.
    figure = Figure((4 * len(points), 4), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(points), sharex=True, sharey=True, squeeze=False)[0]
    for panel, (title, vectors) in zip(panels, points.items()):
        vectors = np.asarray(vectors)
        if vectors.shape[1] == 1:
            panel.hist(vectors[:, 0], bins=100, density=True)
        else:
            panel.scatter(vectors[:, 0], vectors[:, 1], s=2, alpha=0.5, linewidths=0)
        panel.set_title(title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def png(picture: np.ndarray) -> bytes:
    """The PNG file of a picture, uint8 [height, width, 3] or [height, width, 1]."""
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(buffer, "PNG")
    return buffer.getvalue()


def save(path: str | Path, picture: np.ndarray) -> None:
    """Writes a picture as PNG, atomically."""
    files.write_atomically(path, lambda file: file.write(png(picture)))
