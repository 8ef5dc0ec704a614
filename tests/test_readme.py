"""What the README shows is what works."""

import os
import re
import subprocess
import sys

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from launch import common, export, train
from tests.helpers import ROOT, TINY, newest_state, run
from tfade import numerics
from tfade.distributions.gaussian import standard_normal
from tfade.models.base import GenerativeModel
from tfade.models.players import Player
from tfade.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from tfade.objectives import adversarial
from tfade.seeds import as_seed

README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "gin" / "RESULTS.md").read_text()
HEADINGS = re.findall(r"^## (.*)$", RESULTS, re.M)
RECIPES = sorted((ROOT / "gin").glob("*.gin")) + sorted((ROOT / "gin" / "tables").glob("*.gin"))


@pytest.fixture
def example():
    """The class MyGAN of the section on extending."""
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "class MyGAN" in block)
    names = {
        **{"GenerativeModel": GenerativeModel, "Player": Player, "numerics": numerics, "adversarial": adversarial},
        **{"DCGANGenerator": DCGANGenerator, "DCGANDiscriminator": DCGANDiscriminator, "tf": tf, "gin": gin},
        **{"standard_normal": standard_normal, "as_seed": as_seed},
    }
    exec(code.replace("@gin.register", ""), names)
    return names["MyGAN"]


def test_the_python_examples_run_in_a_process_of_their_own(tmp_path):
    """A process that imported nothing before: opening a run has to know what its configuration names."""
    folder = tmp_path / "runs" / "vgh_pp"
    arguments = [
        f"--gin_file={ROOT / 'gin' / 'vgh_pp.gin'}",
        f"--gin_file={TINY}",
        f"--run_dir={folder}",
        "--train_only",
    ]
    assert run(train.main, [*arguments, "--gin_bindings=steps = 1", "--gin_bindings=Showing.samples = 0"]) == 0
    assert run(export.main, [f"--run_dir={folder}", f"--out={folder / 'export'}"]) == 0
    blocks = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "runs/vgh_pp" in block]
    assert len(blocks) == 2
    for block in blocks:
        result = subprocess.run(
            [sys.executable, "-c", block],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr


def test_a_new_model_trains_with_several_discriminator_steps(example, source):
    keras.utils.set_random_seed(0)
    model = example((16, 16, 3), latent_size=4)
    schedule = (("discriminator",) * 5, ("generator",))
    model.compile(lambda name: keras.optimizers.Adam(1e-4), schedule=schedule, fresh_batches=True)
    batch = source.fetch(np.arange(48)).reshape(8, 6, 16, 16, 3)
    logs = model.train_step(tf.constant(batch))
    assert set(logs) == {
        "generator/adversarial",
        "discriminator/real",
        "discriminator/fake",
        "generator/gradient_norm",
        "discriminator/gradient_norm",
    }
    assert int(model.optimizers["discriminator"].iterations.numpy()) == 5
    with pytest.raises(NotImplementedError, match="MyGAN cannot encode: it has no encoder"):
        model.encode(batch[:, 0])


def test_a_new_model_trains_by_the_launcher(example, tmp_path, monkeypatch, capsys):
    """As README says: a class and a gin file; evaluation and export leave out what the model cannot answer."""
    monkeypatch.setattr(common, "CACHE", tmp_path / "cache")
    gin.register(example, module="readme")
    (tmp_path / "my_gan.gin").write_text(
        "include 'gin/fragments/run.gin'\ninclude 'gin/data/color_digits.gin'\nRecipe.model = @readme.MyGAN\n"
        "train_classifier.steps = 10\nseed = 0\n"
    )
    flags = [f"--gin_file={tmp_path / 'my_gan.gin'}", f"--gin_file={TINY}", f"--run_dir={tmp_path / 'run'}"]
    assert run(train.main, flags) == 0
    output = capsys.readouterr().out
    assert "MyGAN cannot reconstruct: it has no encoder" in output
    assert int(newest_state(tmp_path / "run")["step"]) == 6
    served = tf.saved_model.load(str(tmp_path / "run" / "export")).signatures
    assert set(served) == {"sample", "serving_default"} or "encode" not in served


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
