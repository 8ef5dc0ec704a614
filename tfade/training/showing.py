"""What a person looks at while a model trains: TensorBoard and the pictures in samples/."""

import contextlib
import dataclasses
import time
from pathlib import Path

import gin
import numpy as np
import tensorflow as tf

from tfade import pictures
from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.training.callbacks import StepCallback
from tfade.training.run_directory import RunDirectory

OVERVIEW_GAP = 6  # white rows between the samples and the reconstructions, before magnification
SCATTERED = 2000  # vectors in a scatter plot
PICTURE_SEED = 12345  # the same codes at every look, so that one sees them change


@gin.register
@dataclasses.dataclass(frozen=True)
class Showing:
    """What is shown, at the end of every interval.

    Attributes:
        samples: images in the sample grid (vectors are shown as a scatter plot); 0 for no pictures at all.
        reconstructions: held-out images in the reconstruction grid.
        interpolations: rows in the interpolation grid, of `interpolation_steps` images each.
        interpolation_steps: images from one end to the other.
        codes: held-out images whose codes make the histogram.
    """

    samples: int = 36
    reconstructions: int = 12
    interpolations: int = 6
    interpolation_steps: int = 8
    codes: int = 1000

    def __post_init__(self):
        least = {"samples": 0, "reconstructions": 1, "interpolations": 0, "interpolation_steps": 2, "codes": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise UsageError(f"Showing.{name}={getattr(self, name)!r} is below {bound}")


class TensorBoard(StepCallback):
    """Scalars of every player and term, images per second, pictures, histograms and the configuration.

    Args:
        run: the run directory.
        config: the gin configuration, shown as text.
        held_out: images for reconstructions and codes.
        batch_size: global batch size, for images per second.
        showing: what to show.
        stacked: whether images are stacked digits, shown with their channels.
    """

    def __init__(
        self,
        run: RunDirectory,
        config: str,
        held_out: Source,
        batch_size: int,
        showing: Showing,
        stacked: bool,
    ):
        super().__init__()
        self._run, self._config, self._batch_size = run, config, batch_size
        self._showing, self._stacked = showing, stacked
        wanted = max(showing.codes, showing.reconstructions, 2 * showing.interpolations)
        self._images = held_out.fetch(spread(held_out.spec.num_examples, wanted))
        self._held_out = held_out
        self._began: float | None = None
        self._steps = 0

    def begin(self, step):
        super().begin(step)
        self._writer = tf.summary.create_file_writer(str(self._run.logs))
        with self._writer.as_default(step=self.step):
            tf.summary.text("configuration", "\n".join(f"    {line}" for line in self._config.splitlines()))

    def on_step(self, logs):
        self._ended = time.monotonic()
        if self._began is None:  # the first step compiles
            self._began = self._ended
        else:
            self._steps += 1

    def on_epoch_end(self, epoch, logs=None):
        with self._writer.as_default(step=self.step):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
            if self._steps:
                tf.summary.scalar("images_per_second", self._steps * self._batch_size / (self._ended - self._began))
            self._show()
        self._writer.flush()
        self._began, self._steps = None, 0

    def _show(self):
        showing, model = self._showing, self.model
        if not showing.samples:
            return
        if not self._held_out.spec.is_image:
            self._picture("samples", scatter_picture(model, self._held_out))
            return
        self._picture("samples", sample_picture(model, showing.samples, stacked=self._stacked))
        try:
            chosen = self._images[spread(len(self._images), showing.reconstructions)]
            self._picture("reconstructions", reconstruction_picture(model, chosen, stacked=self._stacked))
        except NotImplementedError:
            pass  # a model without an encoder
        try:
            if len(self._images) >= 2 and showing.interpolations:
                self._picture("interpolation", interpolation_picture(model, self._images, showing))
            codes = model.encode(self._images[spread(len(self._images), showing.codes)])
        except NotImplementedError:
            return
        tf.summary.histogram("codes/encoded", codes.sample(seed=(PICTURE_SEED, 0)))
        if hasattr(model, "prior"):
            tf.summary.histogram("codes/prior", model.prior().sample(showing.codes, seed=(PICTURE_SEED, 1)))

    def _picture(self, name: str, picture: np.ndarray):
        picture = pictures.magnified(picture)
        tf.summary.image(name, picture[None])
        pictures.save(self._run.samples / f"{name}-{self.step:09d}.png", picture)


def spread(total: int, count: int) -> np.ndarray:
    """At most `count` of the indices below `total`, evenly spaced: folders are often sorted by class."""
    return np.linspace(0, total - 1, min(total, count)).astype(np.int64)


def sample_picture(model: GenerativeModel, count: int, *, stacked: bool, seed: int = PICTURE_SEED) -> np.ndarray:
    """A grid of samples."""
    return pictures.grid(model.sample(count, seed=seed), _columns(stacked), stacked=stacked)


def scatter_picture(model: GenerativeModel, held_out: Source, seed: int = PICTURE_SEED) -> np.ndarray:
    """Samples of a model of vectors beside held-out ones."""
    real = held_out.fetch(spread(held_out.spec.num_examples, SCATTERED))
    return pictures.scatter(samples=model.sample(len(real), seed=seed), data=real)


def reconstruction_picture(model: GenerativeModel, images: np.ndarray, *, stacked: bool) -> np.ndarray:
    """Originals, and their reconstructions below them."""
    return pictures.before_and_after(images, model.reconstruct(images), _columns(stacked), stacked=stacked)


def _columns(stacked: bool) -> int:
    """Images in a row; a stacked one is four tiles wide."""
    return 4 if stacked else 12


def interpolation_picture(model: GenerativeModel, images: np.ndarray, showing: Showing) -> np.ndarray:
    """Rows of decoded points between the codes of two images: straight lines in code space."""
    pairs = min(len(images) // 2, showing.interpolations)
    ends = images[spread(len(images), 2 * pairs)]
    images = model.interpolate(ends[0::2], ends[1::2], showing.interpolation_steps)
    images = tf.reshape(images, (-1, *model.image_shape))
    return pictures.grid(images, showing.interpolation_steps)


def write_overview(
    model: GenerativeModel, held_out: Source, run: RunDirectory, showing: Showing, stacked: bool
) -> Path:
    """samples/overview.png: samples, and below them originals with their reconstructions. Returns its path.

    Samples of vectors stand beside held-out ones.
    """
    path = run.samples / "overview.png"
    if not held_out.spec.is_image:
        pictures.save(path, scatter_picture(model, held_out))
        return path
    images = held_out.fetch(spread(held_out.spec.num_examples, showing.reconstructions))
    parts = [sample_picture(model, showing.samples or 36, stacked=stacked)]
    with contextlib.suppress(NotImplementedError):
        parts.append(reconstruction_picture(model, images, stacked=stacked))
    between = np.full((OVERVIEW_GAP, parts[0].shape[1], 3), 255, np.uint8)
    pictures.save(
        path, pictures.magnified(np.concatenate([parts[0], *(x for part in parts[1:] for x in (between, part))]))
    )
    return path
