"""What a workflow cannot know by itself: where gin files and caches lie, and which source it runs from."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfade.models.base import GenerativeModel
from tfade.training import configuration
from tfade.training.isolation import isolated
from tfade.training.recipe import Recipe, load_run, run_configuration

CACHE = "load.cache_dir"  # the gin name that moves every cache


class OpenRun(NamedTuple):
    """A trained run.

    Attributes:
        path: its directory.
        recipe: what its configuration says.
        model: rebuilt and restored.
        flags: the flags of the configuration that it was opened with, as they are typed.
        checkpoint: as it was asked for: "latest", "best" or a step.
        revision: of the source that opened it, or None.
    """

    path: Path
    recipe: Recipe
    model: GenerativeModel
    flags: tuple[str, ...]
    checkpoint: str
    revision: str | None


class Workspace(NamedTuple):
    """The source tree and the caches.

    Attributes:
        root: folder that `include` in gin files, and the gin files of a table, are relative to.
        cache: folder of decoded data and of classifiers, where gin binds no other to load.cache_dir; None for no cache.
        revision: of the source, for the record; None where it is not known.
    """

    root: Path
    cache: str | Path | None = None
    revision: str | None = None

    @contextlib.contextmanager
    def configured(
        self, files: Sequence[str], bindings: Sequence[str] = (), defaults: Sequence[str] = ()
    ) -> Iterator[None]:
        """Inside, gin holds the files and then the bindings, both overriding the defaults; outside, the caller's.

        Raises:
            UsageError: a missing file, a syntax error or an unknown name.
        """
        cache = f"{CACHE} = {None if self.cache is None else str(self.cache)!r}"
        with isolated():
            configuration.parse(files, bindings, root=self.root, defaults=[cache, *defaults])
            yield

    @contextlib.contextmanager
    def open_run(
        self,
        run_dir: str | Path,
        checkpoint: str = "latest",
        files: Sequence[str] = (),
        bindings: Sequence[str] = (),
        trust_imports: bool = False,
    ) -> Iterator[OpenRun]:
        """Inside, gin holds the run's configuration, overridden by the files and then by the bindings.

        The model is rebuilt from the run's own configuration.

        Args:
            run_dir: the run directory.
            checkpoint: "latest", "best", or the step of a kept one.
            files, bindings: gin files and lines.
            trust_imports: see `tfade.load_run`.

        Raises:
            UsageError: no run, no such checkpoint, or a configuration that cannot be read.
        """
        flags = (
            *(f"--gin_file={file}" for file in files),
            *(f"--gin_bindings={line}" for line in bindings),
            *(["--trust_imports"] if trust_imports else []),
        )
        with run_configuration(run_dir, bindings, files, self.root, trust_imports) as recipe:
            model = load_run(run_dir, checkpoint, trust_imports)
            yield OpenRun(Path(run_dir), recipe, model, flags, checkpoint, self.revision)


def classifier_cache() -> Path | None:
    """The folder of cached classifiers, inside the one that gin binds to load.cache_dir; None where none is bound."""
    folder = configuration.query(CACHE)
    return None if folder is None else Path(folder).expanduser() / "classifiers"
