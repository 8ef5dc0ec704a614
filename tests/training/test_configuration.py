"""gin files and lines whatever the locale, and text that lost its quotes in the shell."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from tfade.errors import UsageError
from tfade.training import configuration
from tfade.training.isolation import isolated


@pytest.mark.parametrize(
    "line",
    ["data = folder:/x", "data = /x/y", "data = ./x", "data = ~/x", r"data = C:\x", "data=digits", "data = é/x"],
)
def test_text_without_quotes_is_refused_with_the_line_to_type(line):
    value = line.partition("=")[2].strip()
    with isolated(), pytest.raises(UsageError, match="text needs quotes") as raised:
        configuration.parse([], [line])
    assert str(raised.value).endswith(f"""--gin_bindings='data = "{value}"'""")


@pytest.mark.parametrize("value", ["folder:/x", "/x", "(folder:/x, 2)", "{1: x}"])
def test_text_without_quotes_in_a_file(tmp_path, value):
    (tmp_path / "a.gin").write_text(f"steps = 3\ndata = {value}\n", encoding="utf-8")
    with isolated(), pytest.raises(UsageError, match="write text in quotes") as raised:
        configuration.parse([tmp_path / "a.gin"])
    assert "(a.gin, line 2)" in str(raised.value)
    assert "object at" not in str(raised.value)


@pytest.mark.parametrize("line", ["a = (1, 2", "a = '''x", "a = [1", "a = 1 2", "a 3", "a = @", "a.b.c = ", "= 3"])
def test_lines_that_are_no_gin_are_one_line(line):
    with isolated(), pytest.raises(UsageError, match="gin configuration") as raised:
        configuration.parse([], [line])
    assert "\n" not in str(raised.value)


def test_gin_files_are_utf8_in_every_locale(tmp_path):
    """In the C locale, whose encoding is ASCII; the name of the folder is neither ASCII nor Latin-1."""
    (tmp_path / "a.gin").write_text("data = 'folder:/größe/δ'  # σ\nx = %data\n", encoding="utf-8")
    code = (
        "import locale, sys; from gin import config; from tfade.training import configuration\n"
        "assert locale.getencoding() == 'ANSI_X3.4-1968', locale.getencoding()\n"
        "configuration._check_macros = lambda: None\n"
        "configuration.parse([sys.argv[1]])\n"
        "assert config._FILE_READERS[0][0] is open\n"
        "print(ascii(configuration.value('data')))"
    )
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, tmp_path / "a.gin"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=plain)
    assert result.stdout.strip() == r"'folder:/gr\xf6\xdfe/\u03b4'", result.stderr
