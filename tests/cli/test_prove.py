"""``phosphene prove``: statements of theory, checked, and broken on purpose."""

import io
import sys

import pytest

from phosphene import proofs
from phosphene.catalog import systems
from phosphene.cli.main import main
from phosphene.proofs.proof import Proof, equal

FEW = ("kl-divergence", "causal-mask", "multi-head")
"""Proofs of a few milliseconds."""


@pytest.fixture
def few(monkeypatch):
    """The command knows three proofs."""
    known = {name: title for name, title in proofs.names().items() if name in FEW}
    assert len(known) == len(FEW)
    monkeypatch.setattr(proofs, "names", lambda family=None: known)


def test_without_a_name_it_lists_what_can_be_proved(phosphene):
    done = phosphene("prove")
    assert done.code == 0
    wanted = [row.name for row in systems() if row.kind == "proof"]
    assert all(name in done.out for name in wanted)
    assert phosphene("prove", "--json").json == sorted(wanted)


def test_one_is_run_and_its_comparisons_are_shown(phosphene):
    done = phosphene("prove", "kl-divergence")
    assert done.code == 0
    assert "log 2 - 3/8" in done.out
    assert "DOES NOT HOLD" not in done.out
    told = phosphene("prove", "kl-divergence", "--json").json
    assert told["holds"] is True
    assert told["broken"] is None
    assert told["rows"]
    assert all(row["holds"] for row in told["rows"])


def test_what_does_not_hold_exits_with_1(phosphene, monkeypatch):
    wrong = Proof("sum", "Sum", "1 + 1 = 3", [equal("1 + 1", 2.0, 3.0, 0.1)])
    monkeypatch.setattr(proofs, "run", lambda name, **told: wrong)
    done = phosphene("prove", "sum")
    assert done.code == 1
    assert "DOES NOT HOLD" in done.out
    assert phosphene("prove", "sum", "--json").json["holds"] is False


@pytest.mark.parametrize("name", FEW)
def test_break_prints_the_wrong_formula_and_fails_by_its_number(phosphene, name):
    wrong = proofs.module_of(name).WRONG.formula
    done = phosphene("prove", name, "--break")
    assert done.code == 1
    assert wrong in " ".join(done.out.split())
    assert "DOES NOT HOLD" in done.out
    assert "the wrong formula is noticed" in done.out
    told = phosphene("prove", name, "--break", "--json")
    assert told.code == 1
    assert told.json["broken"] == wrong
    assert told.json["holds"] is False
    assert any(not row["holds"] for row in told.json["rows"])
    assert phosphene("prove", name).code == 0, "nothing stays broken"


def test_a_wrong_formula_that_nobody_notices_is_said(phosphene, monkeypatch):
    right = Proof("kl-divergence", "Sum", "1 + 1 = 2", [equal("1 + 1", 2.0, 2.0, 0.1)])
    monkeypatch.setattr(proofs, "run", lambda name, **told: right)
    done = phosphene("prove", "kl-divergence", "--break")
    assert done.code == 0
    assert "NOT noticed" in done.out


def test_all_are_run_and_counted(phosphene, few):
    done = phosphene("prove", "--all")
    assert done.code == 0
    assert "3 of 3 held" in done.out
    told = phosphene("prove", "--all", "--json").json
    assert [row["name"] for row in told] == list(proofs.names())
    broken = phosphene("prove", "--all", "--break")
    assert broken.code == 1
    assert "3 of 3 noticed their wrong formulas" in broken.out


def test_each_of_all_is_printed_and_flushed_as_it_ends(few, monkeypatch):
    """Through a buffer, as a pipe has one: what was run is there before the next one is."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw, 1 << 20), "utf-8"))
    seen, right = [], proofs.run

    def run(name, **told):
        seen.append(len(raw.getvalue()))
        return right(name, **told)

    monkeypatch.setattr(proofs, "run", run)
    assert main(["prove", "--all"]) == 0
    assert 0 == seen[0] < seen[1] < seen[2]


def test_of_json_the_progress_goes_to_stderr(phosphene, few):
    done = phosphene("prove", "--all", "--json")
    assert [line.split(":")[0] for line in done.err.splitlines()] == [
        f"{k} of 3" for k in (1, 2, 3)
    ]
    assert phosphene("prove", "kl-divergence", "--json").err == ""


def test_help_says_how_they_are_listed_and_how_long_all_take(phosphene):
    out = " ".join(phosphene("prove", "--help").out.replace("│", " ").split())
    assert "without a name, they are listed" in out
    assert "minutes" in out


def test_all_names_what_fails(phosphene, few, monkeypatch):
    right = proofs.run
    wrong = Proof("multi-head", "Sum", "1 + 1 = 3", [equal("1 + 1", 2.0, 3.0, 0.1)])
    monkeypatch.setattr(
        proofs, "run", lambda name, **told: wrong if name == "multi-head" else right(name, **told)
    )
    done = phosphene("prove", "--all")
    assert done.code == 1
    assert "2 of 3 held" in done.out
    assert "not: multi-head" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kl-div"], "did you mean 'kl-divergence'"),
        (["kl-div", "--break"], "did you mean 'kl-divergence'"),
        (["--break"], "--break needs the name of a proof, or --all"),
        (["--break", "--json"], "--break needs the name of a proof, or --all"),
        (["multi-head", "--all"], "leave 'multi-head' out, or --all"),
        (["multi-head", "attention"], "unexpected argument 'attention'"),
        (["multi-head", "--seed", "-1"], "--seed must be at least 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(phosphene, words, said):
    done = phosphene("prove", *words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_those_of_a_family(phosphene):
    done = phosphene("prove", "--family", "learning")
    assert done.code == 0
    assert "output-size" in done.out
    assert "generalized-advantage" not in done.out
    wrong = phosphene("prove", "--family", "learnin")
    assert wrong.code == 2
    assert "did you mean 'learning'" in wrong.err
    both = phosphene("prove", "output-size", "--family", "learning")
    assert both.code == 2
    assert "is one proof" in both.err
