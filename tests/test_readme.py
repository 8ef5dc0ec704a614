"""What the README shows is what works."""

import importlib
import inspect
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tensorflow as tf
from gin import config as gin_config

import tfade.configurables
import tfade.evaluation
from launch import common, export, train
from launch.flags import Parser
from tests.helpers import ROOT, TINY, assert_same_state, eagerly, newest_state, run
from tfade import load_run
from tfade.evaluation.suite import known_metrics
from tfade.objectives import divergences
from tfade.training.building import parameters_of

README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "gin" / "RESULTS.md").read_text()
HEADINGS = re.findall(r"^## (.*)$", RESULTS, re.M)
RECIPES = sorted((ROOT / "gin").glob("*.gin")) + sorted((ROOT / "gin" / "tables").glob("*.gin"))
COMMANDS = sorted(set(re.findall(r"-m launch\.(\w+) +([-[][^`\n]*)", README)))
SYSTEMS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in README.partition("## Systems")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| system")
]


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
    assert all(map(model.answers, ("encode", "decode", "reconstruct", "sample")))
    assert not model.answers("log_prob")
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


class Parsed(Exception):
    """Ends a launcher whose flags are right."""


@pytest.mark.parametrize(
    ("launcher", "line"), COMMANDS, ids=[f"{index}-{name}" for index, (name, _) in enumerate(COMMANDS)]
)
def test_command_lines_parse(launcher, line, tmp_path, monkeypatch):
    """Every value of a flag that lists several, and all values that there are."""
    parse, parsers = Parser.parse_args, []

    def stop(*_):
        raise Parsed

    def kept(self, arguments):
        parsers.append(self)
        found = parse(self, arguments)
        return stop() if launcher == "benchmark" else found  # which refuses gin files with some of its parts

    monkeypatch.setattr(Parser, "parse_args", kept)
    monkeypatch.setattr(common, "workspace", stop)
    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(re.sub(r"[][]", " ", line)) if word not in ("…", "&&")]
    named = [word.partition("=") for word in words]
    values = [part.split("|") if separator else [""] for _, separator, part in named]
    for chosen in itertools.product(*values):
        arguments = [flag + separator + value for (flag, separator, _), value in zip(named, chosen, strict=True)]
        with pytest.raises(Parsed):
            importlib.import_module(f"launch.{launcher}").main(arguments)
    choices = {action.option_strings[0]: action.choices for action in parsers[0]._actions if action.choices}
    for (flag, _, _), listed in zip(named, values, strict=True):
        assert len(listed) == 1 or set(listed) == set(choices.get(flag, listed)), flag


def test_every_launcher_has_its_line():
    modules = {path.stem for path in (ROOT / "launch").glob("*.py") if "def main(" in path.read_text()}
    assert {launcher for launcher, _ in COMMANDS} == modules


def test_all_metrics_are_named():
    table = README.partition("| of | metrics |")[2].partition("\n\n")[0]
    ours = [name for name, metric in known_metrics().items() if metric.__module__.startswith("tfade.")]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(ours)
    functions = [name for name in ours if inspect.isfunction(getattr(tfade.evaluation, name, None))]
    assert len(functions) > len(ours) / 2


def test_names_of_gin_exist():
    """`Class.parameter` in the text and in commands, and the networks of features."""
    names = re.findall(r"[`'](?:\w+/)?((?:[A-Z]\w*|adam|load|evaluate)\.[a-z]\w*)", README)
    assert {"Recipe.devices", "load.crop", "evaluate.extractor", "adam.learning_rate"} <= set(names)
    for name in [*names, *re.findall(r"`@(\w+)\(\)`", README)]:
        selector, _, parameter = name.partition(".")
        known = gin_config._REGISTRY.get_match(selector)
        assert known, name
        assert not parameter or parameter in parameters_of(known.wrapped), name


def test_recipes_and_tables_that_are_named_exist():
    """Those whose state is "measured" have an expected number."""
    files = {path.stem: path for path in RECIPES}
    assert len(SYSTEMS) > 10
    for _, state, recipes, results in SYSTEMS:
        assert "measured" not in state or "](" in results, recipes
        for name in re.findall(r"`([a-z]\w*)`", recipes):
            assert name in files, name
            assert state != "measured" or re.search(r"# Expected: .*\d", files[name].read_text()), name
            assert state != "works" or "# Expected: not measured" in files[name].read_text(), name
    for pattern in ("gin/paper/*.gin", "gin/ex_post/*", "gin/data"):
        assert pattern.removeprefix("gin/") in README
        assert list(ROOT.glob(pattern)), pattern
    for path in re.findall(r"`(tests/[\w/.]+|constraints\.txt|gin/tables|tfade/evaluation)`", README):
        assert (ROOT / path).exists(), path


def test_numbers_in_the_text():
    gin = (ROOT / "gin" / "vgh_pp.gin").read_text()
    (size,) = re.findall(r"latent_size = (\d+)", gin)
    assert f"codes are [64, {size}]" in README
    defined = vars(divergences).values()
    kinds = [kind for kind in defined if inspect.isclass(kind) and issubclass(kind, divergences.Divergence)]
    assert len(kinds) == 1 + 9
    assert "nine divergences" in README


def test_the_package_is_as_the_readme_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11–3.13" in README
    extras = set(re.findall(r"-e '\.\[(\w+)\]'", README))
    assert extras == set(project["optional-dependencies"])
    assert project["license"]["text"] in README.splitlines()[-1]
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_test_command_is_where_ci_looks_for_it():
    assert re.search(r"<!-- test command -->\n```bash\n.*-m pytest\n```", README)
    assert '[ -n "$command" ]' in (ROOT / ".ci" / "run").read_text()
