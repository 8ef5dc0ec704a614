"""Places that cannot be read or written: one line that names them, status 2 before any work and 1 after it began."""

import contextlib
import os
import resource

import pytest

from launch import ablation, density_ratio, evaluate, export, jacobian, sample, train
from tests.helpers import PLAYERS, RECIPE, ROOT, fails, newest_state, run, train_arguments

RECIPE_FLAG = f"--gin_file={RECIPE}"
STUDY = f"--gin_file={ROOT / 'gin' / 'tables' / 'density_ratio.gin'}"
TABLE = f"--gin_file={ROOT / 'gin' / 'tables' / 'ade_table1.gin'}"
WRITERS = {  # launcher, its other flags, the flag of the place that it writes to, the end of a path that it takes
    "train": (train.main, [RECIPE_FLAG], "run_dir", ""),
    "ablation": (ablation.main, [TABLE], "run_dir", ""),
    "density_ratio": (density_ratio.main, [STUDY], "out", ""),
    "evaluate": (evaluate.main, [], "run_dir", ""),
    "evaluate_images": (evaluate.main, ["--images=x", "--reference=digits"], "out", ""),
    "compare": (evaluate.main, ["--compare", "x", "y"], "out", ".html"),
    "sample": (sample.main, ["--run_dir=x"], "out", ""),
    "sample_png": (sample.main, ["--run_dir=x"], "out", ".png"),
    "sample_npz": (sample.main, ["--run_dir=x"], "out", ".npz"),
    "export": (export.main, ["--run_dir=x"], "out", ""),
    "jacobian": (jacobian.main, ["--run_dir=x"], "out", ""),
}
READERS = {
    "evaluate": (evaluate.main, [], "run_dir"),
    "images": (evaluate.main, ["--reference=digits"], "images"),
    "compare": (evaluate.main, ["--out=x.html"], "compare"),
    "sample": (sample.main, ["--out=x.png"], "run_dir"),
    "export": (export.main, ["--out=x"], "run_dir"),
    "jacobian": (jacobian.main, ["--out=x"], "run_dir"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of its own as the current one, with a file in it; nothing else may be in it afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    yield tmp_path
    assert (tmp_path / "file").read_text() == "mine"


def places(end: str) -> dict[str, tuple[str, str]]:
    """kind → a path that nothing can be written to, and what the line says."""
    return {
        "below a file": (f"file/x{end}", "lies below"),
        "too long": ("x" * 300 + end, "File name too long"),
        "NUL": (f"x\0y{end}", "NUL"),
        **({} if end else {"empty": ("", "is empty"), "a file": ("file", "is a file")}),
    }


@pytest.mark.parametrize(
    ("writer", "kind"), [(name, kind) for name, (*_, end) in WRITERS.items() for kind in places(end)]
)
def test_places_that_cannot_be_written(here, capsys, writer, kind):
    main, others, flag, end = WRITERS[writer]
    place, words = places(end)[kind]
    fails(capsys, main, [*others, f"--{flag}={place}"], f"--{flag}", words)
    assert [path.name for path in here.iterdir()] == ["file"]


@pytest.mark.parametrize("writer", WRITERS)
def test_places_without_permission(here, capsys, monkeypatch, writer):
    """Whoever runs the tests may write everywhere, so the system's answer is replaced."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    main, others, flag, end = WRITERS[writer]
    fails(capsys, main, [*others, f"--{flag}=x{end}"], f"--{flag}", "no permission", str(here))


@pytest.mark.parametrize("writer", [name for name, (*_, end) in WRITERS.items() if end])
def test_a_folder_where_a_file_is_wanted(here, capsys, writer):
    main, others, flag, end = WRITERS[writer]
    (here / f"folder{end}").mkdir()
    fails(capsys, main, [*others, f"--{flag}=folder{end}"], f"--{flag}", f"folder{end}")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", ["", "x\0y", "x" * 300], ids=["empty", "NUL", "too long"])
def test_places_that_cannot_be_read(here, capsys, reader, place):
    main, others, flag = READERS[reader]
    fails(capsys, main, [*others, f"--{flag}={place}"], f"--{flag}")
    assert [path.name for path in here.iterdir()] == ["file"]


@contextlib.contextmanager
def full_disk(size: int):
    """Files cannot grow beyond `size` bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def fails_while_at_work(capsys, main, arguments, *words) -> None:
    """Status 1, and the last line on standard error has the words."""
    capsys.readouterr()
    assert run(main, arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: "), lines
    assert all(word in lines[-1] for word in words), lines[-1]


@pytest.mark.full("test_finite has the full disk in training")
def test_a_disk_that_is_full(here, capsys, eager):
    """At a checkpoint, and at samples: what was there before stays whole, and the same command continues."""
    short, longer = (
        train_arguments("run", f"steps = {steps}", "Visualisation.samples = 0", files=PLAYERS) for steps in (1, 2)
    )
    assert run(train.main, short) == 0
    before = newest_state("run")
    with full_disk(20_000):
        fails_while_at_work(capsys, train.main, longer, "run/checkpoints", "File too large")
        fails_while_at_work(capsys, sample.main, ["--run_dir=run", "--out=x.npz"], "'x.npz'", "File too large")
    assert newest_state("run").keys() == before.keys()
    assert not list(here.glob("*.npz"))
    assert run(train.main, longer) == 0
    assert int(newest_state("run")["step"]) == 2
