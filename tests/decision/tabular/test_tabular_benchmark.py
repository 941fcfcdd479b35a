"""The benchmark compares all of Q, bit for bit, before it times."""

import json

import pytest

from benchmarks import tabular
from benchmarks.common import run_all, write_json

pytest.importorskip("gymnasium")


def test_every_case_agrees_and_is_written_as_json(tmp_path):
    tiny = tabular.Size(steps=200, checked=600, rounds=1)
    rows = run_all(tabular.cases(tiny), 1)
    write_json(rows, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    assert [row["peer"] for row in written] == ["gymnasium"] * 3
    assert all(row["max_difference"] == 0 for row in written)


def test_another_q_is_noticed(monkeypatch):
    case = next(tabular.cases(tabular.Size(steps=10, checked=300)))
    monkeypatch.setattr(tabular, "GAMMA", 0.9)
    theirs = tabular.loop
    monkeypatch.setattr(tabular, "loop", lambda *args: theirs(*args)[::-1])
    with pytest.raises(AssertionError, match="Q differs"):
        case.check()
