"""What a person looks at while a model trains: TensorBoard and the pictures in samples/."""

import contextlib
import dataclasses
import time

import gin
import numpy as np
import tensorflow as tf
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.image import metadata as image_metadata

from tfade import files, pictures
from tfade.data.source import Source
from tfade.errors import check_whole
from tfade.training import model_pictures
from tfade.training.callbacks import StepCallback
from tfade.training.model_pictures import PICTURE_SEED
from tfade.training.run_directory import RunDirectory


@gin.register
@dataclasses.dataclass(frozen=True)
class Visualisation:
    """Which pictures are made, at the end of every interval.

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
            check_whole(f"Visualisation.{name}", getattr(self, name), bound)


class TensorBoard(StepCallback):
    """Scalars of every player and term, images per second, pictures, histograms and the configuration.

    Args:
        run: the run directory.
        config: the gin configuration, shown as text.
        held_out: examples for reconstructions and codes.
        batch_size: global batch size, for images per second.
        settings: which pictures.
        other: examples of the second domain, or None.
    """

    def __init__(
        self,
        run: RunDirectory,
        config: str,
        held_out: Source,
        batch_size: int,
        settings: Visualisation,
        other: Source | None = None,
    ):
        super().__init__()
        self._other = other
        self._run, self._config, self._batch_size = run, config, batch_size
        self._settings, self._held_out = settings, held_out
        self._began: float | None = None
        self._steps = 0

    def begin(self, step):
        super().begin(step)
        with self._reported():
            self._writer = tf.summary.create_file_writer(str(self._run.logs))
            with self._writer.as_default(step=self.step):
                tf.summary.text("configuration", "\n".join(f"    {line}" for line in self._config.splitlines()))

    @contextlib.contextmanager
    def _reported(self):
        """Inside, TensorFlow's errors are those of the log files."""
        try:
            yield
        except tf.errors.OpError as error:
            raise OSError(None, error.message, str(self._run.logs)) from error

    def on_step(self, logs):
        self._ended = time.monotonic()
        if self._began is None:  # the first step compiles
            self._began = self._ended
        else:
            self._steps += 1

    def on_epoch_end(self, epoch, logs=None):
        with self._reported():
            self._write(logs)
        self._began, self._steps = None, 0

    def _write(self, logs):
        with self._writer.as_default(step=self.step):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
            if self._steps:
                tf.summary.scalar("images_per_second", self._steps * self._batch_size / (self._ended - self._began))
            if self._settings.samples:
                with model_pictures.skip_on_failure(f"pictures of step {self.step:,}"):
                    self._show()
        self._writer.flush()

    def _show(self):
        settings, model = self._settings, self.model
        for name, picture in model_pictures.all_pictures(
            model,
            self._held_out,
            self._other,
            samples=settings.samples,
            reconstructions=settings.reconstructions,
            interpolations=settings.interpolations,
            interpolation_steps=settings.interpolation_steps,
        ):
            picture = pictures.magnified(picture)
            png = pictures.png(picture)
            _summarise_image(name, png, picture.shape)
            path = self._run.samples / f"{name}-{self.step:09d}.png"
            files.write_atomically(path, lambda file, png=png: file.write(png))
        if model.answers("encode") and model.spec.is_image:
            x, labels = model_pictures.examples(model, self._held_out, settings.codes)
            codes = model.encode(x, **model.conditions(labels)).sample(seed=(PICTURE_SEED, 0))
            _summarise_histogram("codes/encoded", codes)
            if model.answers("prior"):
                _summarise_histogram("codes/prior", model.prior().sample(settings.codes, seed=(PICTURE_SEED, 1)))


def _summarise_image(name: str, png: bytes, shape) -> None:
    """What `tf.summary.image` writes, of a picture that is encoded already."""
    height, width = shape[:2]
    tf.summary.write(name, [str(width), str(height), png], metadata=image_metadata.create_summary_metadata(None, None))


def _summarise_histogram(name: str, values) -> None:
    """What `tf.summary.histogram` writes, without its dozens of operations; values that are not finite are left out."""
    values = np.asarray(values)
    summary = histogram_pb(name, values[np.isfinite(values)])
    tf.summary.experimental.write_raw_pb(summary.SerializeToString())
