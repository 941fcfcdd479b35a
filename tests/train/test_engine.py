"""The engine on toys: budgets, resume, accumulation, EMA, divergence, interruption."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phosphene.core.errors import ConfigError, DivergedError, RunError
from phosphene.core.phase import Loss, Phase
from phosphene.core.progress import Evaluated, Finished, StepEnd
from phosphene.core.rng import seeded
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.train.engine import Engine
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings
from tests.train.toys import OnePhase, TwoPhase, dataset, judge


def make(kind, folder: Path, budget="8steps", listeners=(), validate=True, seed=0, **settings):
    data = dataset()
    with seeded(seed):
        model = kind(data.event)
    config = TrainSettings(**{"batch_size": 32, "log_every": 1, **settings})
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "checkpoint").mkdir(exist_ok=True)
    return Engine(
        model,
        DatasetSource(data, 32, seed),
        config,
        Budget.parse(budget),
        folder,
        Runtime("cpu"),
        judge=judge(model) if validate else None,
        listeners=listeners,
    )


def weights(engine):
    return {k: v.clone() for k, v in engine.model.state_dict().items()}


def equal(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("kind", [OnePhase, TwoPhase])
@pytest.mark.parametrize("settings", [{}, {"ema": 0.9, "schedule": "cosine", "clip": 1.0}])
def test_resume_is_bit_exact(kind, settings, tmp_path):
    whole = make(kind, tmp_path / "whole", **settings)
    whole.run()
    stop = []

    def interrupt(event):
        if isinstance(event, StepEnd) and event.step == 3 and not stop:
            stop.append(1)
            os.kill(os.getpid(), signal.SIGTERM)

    first = make(kind, tmp_path / "cut", listeners=[interrupt], **settings)
    assert first.run() == "interrupted"
    assert first.step == 3
    second = make(kind, tmp_path / "cut", seed=0, **settings)
    for p in second.model.parameters():  # the checkpoint, not the seed, must bring these back
        p.data.zero_()
    assert second.run(resume=True) == "budget"
    assert second.step == whole.step == 8
    assert equal(weights(whole), weights(second))
    if whole.ema is not None:
        assert all(map(torch.equal, whole.ema.average, second.ema.average))


@pytest.mark.parametrize("kind", [OnePhase, TwoPhase])
def test_accumulation_does_not_change_the_result(kind, tmp_path):
    one = make(kind, tmp_path / "a")
    four = make(kind, tmp_path / "b", accumulate=4)
    one.run()
    four.run()
    for k, v in weights(one).items():
        torch.testing.assert_close(v, weights(four)[k], rtol=1e-4, atol=1e-5)


def test_phases_take_their_turns(tmp_path):
    rows = []
    make(TwoPhase, tmp_path, listeners=[rows.append]).run()
    steps = [e for e in rows if isinstance(e, StepEnd)]
    assert [("level" in e.terms) for e in steps] == [True, False] * 4
    assert all({"critic_loss", "generator_loss", "gap", "score"} <= e.terms.keys() for e in steps)


class TwoLevels(OnePhase):
    """Losses that say which phase gave them: 100 first, then 1, 2 and 3 in its three turns."""

    def phases(self):
        return [
            Phase("first", [self.net[0].weight], lambda batch: self.told(100.0)),
            Phase("second", [self.net[2].weight], self.counted, repeat=3),
        ]

    turn = 0

    def counted(self, batch):
        self.turn = self.turn % 3 + 1
        return self.told(float(self.turn))

    def told(self, value):
        return Loss(value + 0.0 * sum(p.sum() for p in self.parameters()))


def test_what_is_logged_is_the_mean_since_the_last_line(tmp_path):
    each, two = [], []
    make(OnePhase, tmp_path / "1", "4steps", [each.append], validate=False).run()
    make(OnePhase, tmp_path / "2", "4steps", [two.append], validate=False, log_every=2).run()
    one, mean = ([e.terms for e in found if isinstance(e, StepEnd)] for found in (each, two))
    for name in ("loss", "error"):
        a, b, c, d = (terms[name] for terms in one)
        assert [terms[name] for terms in mean] == pytest.approx([(a + b) / 2, (c + d) / 2])


def test_the_loss_of_a_step_is_the_sum_over_phases_of_their_last_turns(tmp_path):
    steps = []
    make(TwoLevels, tmp_path, "4steps", [steps.append], validate=False, log_every=2).run()
    logged = [event.terms for event in steps if isinstance(event, StepEnd)]
    assert [terms["loss"] for terms in logged] == [103.0, 103.0]
    assert [terms["first_loss"] for terms in logged] == [100.0, 100.0]
    assert [terms["second_loss"] for terms in logged] == [3.0, 3.0]


def test_validation_keeps_the_best_and_patience_stops(tmp_path):
    rows = []
    engine = make(
        OnePhase, tmp_path, "100000steps", [rows.append], evaluate_every=2, patience=3, lr=0.3
    )
    assert engine.run() == "patience"
    scores = [e for e in rows if isinstance(e, Evaluated)]
    best = min(scores, key=lambda e: e.scores["loss"])
    assert best.best
    assert not any(e.best for e in scores[-3:])
    assert (tmp_path / "model" / "best.safetensors").is_file()
    assert isinstance(rows[-2], Finished)


@pytest.mark.parametrize("losses", [(3.0, 1.0, 2.0, 2.0), (1.0, 2.0, 3.0, 0.5)])
def test_the_best_is_remembered_when_a_run_goes_on(losses, tmp_path):
    """Weights that are worse than the best of an earlier sitting do not take its place."""
    left, told = list(losses), []

    class Judged:
        steps, n = 0, None

        def __call__(self, model, runtime, within=None):
            return {"loss": left.pop(0)}

    for sitting, budget in enumerate(("4steps", "8steps")):
        engine = make(OnePhase, tmp_path, budget, [told.append], evaluate_every=2)
        engine.judge = Judged()
        engine.run(resume=sitting == 1)
    scores = [e for e in told if isinstance(e, Evaluated)]
    assert [e.scores["loss"] for e in scores] == list(losses)
    least = [min(losses[: k + 1]) for k in range(len(losses))]
    assert [e.best for e in scores] == [a == b for a, b in zip(losses, least, strict=True)]


def test_budgets(tmp_path):
    epochs = make(OnePhase, tmp_path / "e", "2epochs")
    epochs.run()
    assert epochs.step == 13  # 2 * 200 / 32, rounded up
    seconds = make(OnePhase, tmp_path / "s", "0.3s")
    seconds.run()
    assert 0.3 <= seconds.seconds < 3


@pytest.mark.parametrize("text", ["0s", "-3s", "0steps", "ten", "5", "5parsecs", "1.5steps", ""])
def test_bad_budgets_are_one_sentence(text):
    with pytest.raises(ConfigError, match="budget"):
        Budget.parse(text)


def test_divergence_names_step_term_and_rate_and_keeps_the_checkpoint(tmp_path):
    engine = make(OnePhase, tmp_path)
    engine.source.dataset = replace(dataset(), x=dataset().x * float("inf"))
    with pytest.raises(DivergedError, match=r"step 0, in the term 'error', with learning rate"):
        engine.run()
    assert engine.checkpoints.latest == 0


def test_metrics_are_cut_back_on_resume(tmp_path):
    make(OnePhase, tmp_path).run()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "half a li')
    make(OnePhase, tmp_path, "12steps").run(resume=True)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"resumed_at"} <= {k for row in rows for k in row}
    assert max(row["step"] for row in rows) == 12


def test_resume_of_a_finished_run_does_nothing(tmp_path):
    first = make(OnePhase, tmp_path)
    first.run()
    again = make(OnePhase, tmp_path)
    assert again.run(resume=True) == "budget"
    assert again.step == 8
    assert equal(weights(first), weights(again))


def test_another_architecture_is_refused(tmp_path):
    make(OnePhase, tmp_path).run()
    engine = make(OnePhase, tmp_path)
    engine.model = OnePhase(dataset().event, width=9)
    with pytest.raises(RunError, match="another architecture"):
        engine.run(resume=True)


def test_a_damaged_checkpoint_is_one_sentence(tmp_path):
    make(OnePhase, tmp_path).run()
    (tmp_path / "checkpoint" / "8" / "state.pt").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(RunError, match="damaged"):
        make(OnePhase, tmp_path).run(resume=True)


def test_lbfgs_reaches_the_optimum(tmp_path):
    rows = []
    engine = make(
        OnePhase, tmp_path, "5steps", [rows.append], optimizer="lbfgs", lr=1.0, validate=False
    )
    engine.run()
    losses = [e.terms["loss"] for e in rows if isinstance(e, StepEnd)]
    assert losses[-1] < losses[0]


def test_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    engine = make(OnePhase, tmp_path)
    engine.run()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"no space left on device.*step 8 is kept"):
        engine.save()
    assert engine.checkpoints.latest == 8
    assert not list((tmp_path / "checkpoint").glob(".*"))


def test_replace_parameters_moves_moments_and_average(tmp_path):
    from phosphene.train.phase_runner import StepHandle

    engine = make(OnePhase, tmp_path, ema=0.9)
    engine.run()
    old = engine.model.net[0].weight
    index = torch.tensor([1, 1, 0])
    new = torch.nn.Parameter(old.detach()[index].clone())
    handle = StepHandle(engine.step, engine.runners, engine.ema, engine.runtime)
    before = engine.optimizers[0].state[old]["exp_avg"].clone()
    average = engine.ema.average[0].clone()
    handle.replace_parameters(old, new, index)
    assert engine.model.net[0].weight is new
    assert torch.equal(engine.optimizers[0].state[new]["exp_avg"], before[index])
    assert torch.equal(engine.ema.average[0], average[index])
