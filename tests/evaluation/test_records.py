"""Records on disk: whole, of a known format, or refused by their path."""

import dataclasses
import json

import pytest

from tfade.errors import UsageError
from tfade.evaluation import Figure, Record, Result, read_records


def test_records_survive_the_disk(tmp_path):
    real = Result("distance", 0.5, None, {"fake": "train split"})
    results = (Result("distance", 2.0, 0.25, {"seed": 0}, {"latent_size": 8}, real),)
    before = Record("m", 1.5, results, (Figure("f", "seen", b"png"),), None, {"checkpoint": 3})
    before.save(tmp_path)
    (after,) = read_records(tmp_path)
    assert after.saved > 0
    assert dataclasses.replace(after, saved=0.0) == before
    content = json.loads((tmp_path / "m.json").read_text())
    assert content.pop("format") == 2
    (tmp_path / "m.json").write_text(json.dumps(content))  # as the first version wrote it
    with pytest.raises(UsageError, match="m.json has format 1; this version reads format 2; remove it"):
        read_records(tmp_path)
    (tmp_path / "m.json").write_text("[]")
    with pytest.raises(UsageError, match="m.json is not a record"):
        read_records(tmp_path)
    assert read_records(tmp_path / "nowhere") == []
