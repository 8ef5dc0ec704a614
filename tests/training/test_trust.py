"""Opening a run executes nothing: its configuration holds bindings alone, of classes that are known already."""

import os
import subprocess
import sys

import pytest

from launch import sample
from tests.helpers import ROOT, TINY, eagerly, run, train_here
from tfade import load_run
from tfade.errors import UsageError

MODULE = """
import gin
from tfade.models.gan import GAN


@gin.register(module="{name}")
class Strange(GAN):
    pass
"""
RECIPE = """
import {name}
include 'gin/fragments/run.gin'
include 'gin/data/digits.gin'
Recipe.model = @{name}.Strange
{name}.Strange.latent_size = 6
{name}.Strange.generator = @SNGANGenerator
{name}.Strange.discriminator = @SNGANDiscriminator
seed = 0
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("trust") / "run"
    with eagerly():
        assert train_here(run_dir, "steps = 1", "Visualisation.samples = 0") == 0
    return run_dir


@pytest.mark.every(4)
@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "from __gin__ import dynamic_registration",
        "from os import path",
        "include 'gin/vgh_pp.gin'",
    ],
)
def test_a_configuration_with_other_statements_is_rejected(trained, tmp_path, line, capsys):
    config = trained / "config.gin"
    text = config.read_text()
    first, rest = text.split("\n", 1)
    try:
        config.write_text(f"{first}\n{line}\n{rest}")
        with pytest.raises(UsageError, match="imports or includes something"):
            load_run(trained)
        assert run(sample.main, [f"--run_dir={trained}", f"--out={tmp_path / 'x.png'}"]) == 2
        assert train_here(trained, "steps = 1", "Visualisation.samples = 0") == 2
        assert capsys.readouterr().err.count("\n") == 2
    finally:
        config.write_text(text)
    assert load_run(trained).answers("sample")


@pytest.mark.full("a process of its own; what else executes code is rejected by the test above")
@pytest.mark.usefixtures("eager")
def test_an_author_s_module_needs_trust(tmp_path, monkeypatch, capsys):
    name = "strange_module_of_a_test"
    (tmp_path / f"{name}.py").write_text(
        MODULE.format(name=name) + f"open({str(tmp_path / 'executed')!r}, 'a').close()\n"
    )
    (tmp_path / "strange.gin").write_text(RECIPE.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    files = (tmp_path / "strange.gin", TINY)
    assert train_here(tmp_path / "run", "steps = 1", "Visualisation.samples = 0", files=files) == 0
    text = (tmp_path / "run" / "config.gin").read_text()
    assert f"# imports: {name}" in text
    assert "\nimport " not in text
    (tmp_path / "executed").unlink()
    code = (
        "import os, sys; from launch import sample; from launch.common import guarded;"
        f"flags = ['--run_dir={tmp_path / 'run'}', '--out={tmp_path / 'x.png'}'];"
        f"executed = lambda: os.path.exists({str(tmp_path / 'executed')!r});"
        "first = guarded(sample.main, flags), executed();"
        "print(*first, guarded(sample.main, [*flags, '--trust_imports']), executed())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    opened = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert opened.stdout.splitlines()[-1] == "2 False 0 True", opened.stdout + opened.stderr
    assert name in opened.stderr
    assert "--trust_imports" in opened.stderr
