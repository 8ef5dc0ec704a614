"""The choice of oneDNN's kernels, and what is recorded of it."""

import json
import os
import platform
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.helpers import ROOT
from tfade import kernels
from tfade.training.run_directory import RunDirectory

X86 = platform.machine().lower() in ("x86_64", "amd64")


def chosen(*statements: str, **environment) -> str:
    """TF_ENABLE_ONEDNN_OPTS after statements in a new process."""
    code = "; ".join([*statements, "import os", f"print(os.environ.get({kernels.ONEDNN!r}))"])
    inherited = {name: value for name, value in os.environ.items() if name != kernels.ONEDNN}
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=inherited | environment)
    return process.stdout.strip()


@pytest.mark.skipif(not X86, reason="oneDNN's kernels are a choice on x86 only")
def test_onednn_unless_the_user_or_tensorflow_has_chosen():
    assert chosen("import tfade") == "1"
    assert chosen("import launch.common") == "None"  # it takes effect with the library, which it imports later
    assert chosen("import tfade", **{kernels.ONEDNN: "0"}) == "0"
    assert chosen("import sys, types", "sys.modules['tensorflow'] = types.ModuleType('x')", "import tfade") == "None"


def test_what_is_recorded():
    found = kernels.cpu_kernels()
    assert json.loads(json.dumps(found)) == found
    assert found["intra_op_threads"] == tf.config.threading.get_intra_op_parallelism_threads()
    if X86:
        assert found["library"] == ("Eigen" if os.environ[kernels.ONEDNN] == "0" else "oneDNN")
    if os.path.exists("/proc/cpuinfo") and X86:
        assert "sse4_2" in found["instruction_sets"]


@pytest.mark.parametrize(
    ("content", "noted"),
    [
        ({"kernels": {"library": "Eigen"}}, True),
        ({"kernels": {"library": "oneDNN"}}, False),
        ({"kernels": {"library": None}}, False),
        ({"kernels": 3}, False),
        ({}, False),
    ],
)
def test_a_run_that_goes_on_with_other_kernels_says_so(tmp_path, content, noted):
    run, lines = RunDirectory(tmp_path), []
    run.environment.write_text(json.dumps(content))
    run.note_kernels("oneDNN", lines.append)
    assert lines == (
        [f"note: {tmp_path} was trained with Eigen's CPU kernels so far and continues with oneDNN's"] * noted
    )
