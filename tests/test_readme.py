"""What the README shows is what works."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from launch import export, train
from tests.helpers import ROOT, TINY, assert_same_state, eagerly, newest_state, run
from tfade import load_run

README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "gin" / "RESULTS.md").read_text()
HEADINGS = re.findall(r"^## (.*)$", RESULTS, re.M)
RECIPES = sorted((ROOT / "gin").glob("*.gin")) + sorted((ROOT / "gin" / "tables").glob("*.gin"))


def test_the_python_examples_run_in_a_process_of_their_own(tmp_path):
    """Which imported nothing of tfade before: opening a run has to know what its configuration names."""
    folder = tmp_path / "runs" / "vgh_pp"
    arguments = [
        f"--gin_file={ROOT / 'gin' / 'vgh_pp.gin'}",
        f"--gin_file={TINY}",
        f"--run_dir={folder}",
        "--train_only",
    ]
    with eagerly():
        short = ("--gin_bindings=steps = 1", "--gin_bindings=Visualisation.samples = 0")
        assert run(train.main, [*arguments, *short]) == 0
    assert run(export.main, [f"--run_dir={folder}", f"--out={folder / 'export'}"]) == 0
    blocks = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "runs/vgh_pp" in block]
    assert len(blocks) == 2
    assert "tfade" not in blocks[1]  # the export, which needs TensorFlow alone: first
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(reversed(blocks))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_model_of_the_readme_goes_all_the_way(tmp_path, monkeypatch):
    """README's own text as two files: trains, samples by class, resumes, is evaluated, exports, is opened."""
    module, recipe = (re.search(rf"```\w*\n(# aae\.{kind}\n.*?)```", README, re.S)[1] for kind in ("py", "gin"))
    assert len(module.splitlines()) <= 60
    (tmp_path / "aae.py").write_text(module)
    (tmp_path / "aae.gin").write_text(recipe)
    monkeypatch.syspath_prepend(tmp_path)
    small = ("DCGANEncoder.width = 4", "DCGANGenerator.width = 4", "batch_size = 8", "Recipe.interval = 2")
    arguments = [f"--gin_file={tmp_path / 'aae.gin'}", *(f"--gin_bindings={line}" for line in small)]
    folders = {name: tmp_path / name for name in ("once", "twice")}
    with eagerly():
        for name, steps in (("twice", 2), ("once", 4), ("twice", 4)):
            only = ["--train_only", f"--gin_bindings=steps = {steps}", f"--run_dir={folders[name]}"]
            assert run(train.main, [*arguments, *only]) == 0
    evaluated = [*arguments, "--gin_bindings=steps = 4", f"--run_dir={folders['twice']}"]
    assert run(train.main, evaluated) == 0  # is trained: evaluates and exports
    assert_same_state(newest_state(folders["once"]), newest_state(folders["twice"]))
    assert (folders["twice"] / "evaluation" / "reconstruction_error.json").is_file()
    model = load_run(folders["twice"])
    labels = np.array([3, 3, 7])
    sampled = model.sample(3, labels=labels, seed=1)
    assert not np.allclose(sampled, model.sample(3, labels=labels - 1, seed=1))
    served = tf.saved_model.load(str(folders["twice"] / "export")).signatures["sample"]
    scalars = {"n": tf.constant(3), "temperature": tf.constant(1.0), "seed": tf.constant(1, tf.int64)}
    exported = served(**scalars, labels=tf.constant(labels, tf.int32))["images"]
    np.testing.assert_allclose(exported, sampled, atol=1e-5)


def test_readme_is_a_front_page():
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("page", ["README.md", "gin/RESULTS.md"])
def test_pictures_and_files_that_are_named_exist(page):
    text = (ROOT / page).read_text()
    pictures = re.findall(r"\]\(([\w/.]+\.png)\)", text)
    assert pictures
    for path in pictures:
        assert ((ROOT / page).parent / path).is_file(), path
    for path in re.findall(r"(?:(?<=`)|(?<=gin_file=))((?:gin|tfade)/[\w/]+\.(?:gin|py))\b", text):
        assert (ROOT / path).is_file(), path


def test_links_lead_to_a_heading():
    anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in HEADINGS}
    links = re.findall(r"\]\((?:gin/RESULTS\.md)?#([^)]*)\)", README + RESULTS)
    assert len(links) > 5
    assert set(links) <= anchors


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_to_expect_and_where_its_results_are(path):
    """README lists the recipe; its head comment has an expected number or says that there is none."""
    assert f"`{path.stem}`" in README
    lines = path.read_text().splitlines()
    head = " ".join(line.lstrip("# ") for line in lines[: next(i for i, line in enumerate(lines) if line[:1] != "#")])
    assert re.search(r"Expected: (.*\d|not measured)", head)
    assert set(re.findall(r'gin/RESULTS\.md, "(.*?)"', head)) & set(HEADINGS)
    assert set(re.findall(r'gin/RESULTS\.md, "(.*?)"', head)) <= set(HEADINGS)


def test_the_test_command_is_where_ci_looks_for_it():
    assert re.search(r"<!-- test command -->\n```bash\n.*-m pytest\n```", README)
    assert '[ -n "$command" ]' in (ROOT / ".ci" / "run").read_text()
