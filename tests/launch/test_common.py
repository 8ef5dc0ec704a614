"""What all launchers share: streams of any encoding."""

import io
import sys

import pytest

from launch import common


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_a_terminal_has_no_letters_for_ends_no_run(monkeypatch, encoding):
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}

    def main(arguments):
        print("samples … σ ✓")
        print("note: ∂", file=sys.stderr)

    with monkeypatch.context() as patched:
        for name, stream in streams.items():
            patched.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as ended:
            common.launch(main, [])
    assert ended.value.code == 0
    streams["stdout"].flush()
    assert streams["stdout"].buffer.getvalue().startswith(b"samples ")
