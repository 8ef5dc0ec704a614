"""A model of two data sets from its recipe: its history of translations is saved, and both test splits evaluate it."""

import numpy as np
import pytest
from PIL import Image

from launch import evaluate, sample
from tests.helpers import ROOT, TINY, assert_same_state, fails, newest_state, run, train_here
from tfade.evaluation import read_records

FILES = (ROOT / "gin" / "cycle_gan.gin", TINY)
FOLDERS = (ROOT / "gin" / "cycle_gan.gin", ROOT / "gin" / "data" / "two_folders.gin", TINY)
SETTINGS = ("batch_size = 6", "CycleGAN.pool_size = 5", "Visualisation.samples = 0")


@pytest.mark.full("its metrics and its properties are tested apart")
@pytest.mark.usefixtures("eager")
def test_a_translator_is_trained_and_evaluated(tmp_path, capsys):
    assert train_here(tmp_path / "run", *SETTINGS, "steps = 1", files=FILES) == 0
    state = newest_state(tmp_path / "run")
    assert {f"model/{name}" for name in ("pool", "pool_count", "other_pool", "other_pool_count")} <= state.keys()
    assert len(np.unique(state["model/pool"].reshape(5, -1), axis=0)) == state["model/pool_count"] == 5
    arguments = [f"--run_dir={tmp_path / 'run'}", "--metrics=cycle_error", "--num_samples=20"]
    assert run(evaluate.main, arguments) == 0
    results = {
        result.name: result for record in read_records(tmp_path / "run" / "evaluation") for result in record.results
    }
    assert {"cycle_error", "translation_error", "cycle_error_back", "translation_error_back"} == results.keys()
    assert results["cycle_error"].protocol["data"] == "first_half:digits"
    assert results["cycle_error_back"].protocol["data"] == "painted:second_half:digits"
    out = [f"--run_dir={tmp_path / 'run'}", f"--out={tmp_path / 'x.png'}"]
    fails(capsys, sample.main, out, "CycleGAN")


def write_folder(folder, count: int, size: tuple[int, int], channel: int) -> str:
    """Noisy PNG files of one bright channel; returns the name of the data set."""
    folder.mkdir()
    generator = np.random.default_rng(channel)
    for number in range(count):
        image = generator.integers(0, 60, (*size, 3), np.uint8)
        image[..., channel] += 180
        Image.fromarray(image).save(folder / f"{number}.png")
    return f"folder:{folder}"


@pytest.mark.full("pools, restoring and pictures are tested apart")
@pytest.mark.usefixtures("eager")
def test_two_folders_of_images_train_resume_and_show_pictures(tmp_path):
    """Of unlike numbers and sizes; a picture begins with held-out images of its own domain, red or blue."""
    red, blue = (
        write_folder(tmp_path / name, count, size, channel)
        for name, count, size, channel in (("red", 40, (20, 24), 0), ("blue", 30, (18, 16), 2))
    )
    settings = (f"data = {red!r}", f"other_data = {blue!r}", "load.image_size = 16", "CycleGAN.pool_size = 9")
    for name, steps in (("broken", 1), ("broken", 2), ("whole", 2)):
        assert train_here(tmp_path / name, *settings, f"steps = {steps}", "Recipe.interval = 1", files=FOLDERS) == 0
    assert_same_state(newest_state(tmp_path / "broken"), newest_state(tmp_path / "whole"))
    for name, channel in (("cycle", 0), ("cycle_back", 2)):
        for step in (1, 2):
            broken, whole = (tmp_path / run / "samples" / f"{name}-{step:09d}.png" for run in ("broken", "whole"))
            assert broken.read_bytes() == whole.read_bytes()
        image = np.asarray(Image.open(broken))
        originals = image[: len(image) // 3].reshape(-1, 3)
        inside = originals[np.any(originals < 255, -1)]
        assert set(np.argmax(inside, -1)) == {channel}


def test_a_second_data_set_is_missing(tmp_path, capsys):
    assert train_here(tmp_path / "run", *SETTINGS, "other_data = None", files=FILES) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].endswith("set other_data = NAME")
