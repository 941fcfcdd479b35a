"""The timing, table and JSON that every benchmark shares."""

import json
from types import SimpleNamespace

import pytest

from benchmarks import watch
from benchmarks.common import Case, Watch, in_turns, installed, measure, run_all, write_json


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the work moves, so that a busy machine changes nothing."""
    now = SimpleNamespace(wall=100.0, cpu=7.0)
    stub = SimpleNamespace(perf_counter=lambda: now.wall, process_time=lambda: now.cpu)
    monkeypatch.setattr(watch, "time", stub)
    monkeypatch.setattr(
        watch.resource, "getrusage", lambda who: SimpleNamespace(ru_utime=0, ru_stime=0)
    )
    return now


def work(clock, milliseconds):
    times = iter(milliseconds)

    def run(watch):
        spent = 1e-3 * next(times)
        clock.wall += spent
        clock.cpu += 0.5 * spent

    return run


def test_a_watch_leaves_out_set_up_and_tidying(clock):
    watch = Watch()
    clock.wall += 5
    watch.start()
    clock.wall += 2
    clock.cpu += 1
    watch.stop()
    clock.wall += 5
    watch.stop()
    assert (watch.wall, watch.cpu) == (2, 1)


def test_each_is_called_once_to_warm_up_and_then_in_turns():
    calls = []
    in_turns(lambda w: calls.append("p"), lambda w: calls.append("o"), rounds=3)
    assert "".join(calls) == "po" + "po" + "op" + "po"


def test_the_ratio_is_peer_over_ours_in_medians(clock):
    theirs, ours = work(clock, [99, 7, 8, 90]), work(clock, [99, 2, 1, 2])  # the first warms up
    row = measure(Case("wait", "torch", lambda: 0.25, theirs, ours), rounds=3)
    assert (row.peer_ms, row.ours_ms) == pytest.approx((8, 2))
    assert (row.ratio, row.cpu_ratio) == pytest.approx((4, 4))
    assert row.max_difference == 0.25


def test_nothing_is_timed_that_does_not_agree():
    timed = []

    def disagree():
        raise AssertionError("they differ")

    case = Case("bad", "torch", disagree, timed.append, timed.append)
    with pytest.raises(AssertionError, match="they differ"):
        measure(case, rounds=1)
    assert timed == []


def test_a_missing_peer_is_named(capsys):
    assert installed("torch")
    assert installed("scikit-learn") == installed("sklearn")
    assert run_all([], 1, ["no-such-package"]) == []
    assert "skipped: no-such-package is not installed" in capsys.readouterr().out


def test_a_case_without_its_peer_is_skipped_and_named_once(capsys):
    def never(watch=None):
        raise AssertionError("it was run")

    cases = [Case(f"case {i}", "no-such-package", never, never, never) for i in range(2)]
    assert run_all(cases, 1) == []
    assert capsys.readouterr().out.count("no-such-package") == 1


def test_the_json_is_a_list_of_objects_with_the_agreed_keys(tmp_path):
    case = Case("wait", "torch", lambda: 0.0, lambda watch: None, lambda watch: None)
    rows = run_all([case], 1, ["torch"])
    write_json(rows, tmp_path / "rows.json")
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert list(row) == [
        "case", "peer", "version", "peer_ms", "ours_ms", "ratio", "max_difference",
    ]  # fmt: skip
