"""What a step does to the weights, by hand: schedules, clipping, averages, L-BFGS, scalars."""

import math
import sys
import types
from dataclasses import replace

import pytest
import torch
from torch import nn

from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.progress import Evaluated, StepEnd
from phosphene.train.ema import EMA
from phosphene.train.phase_runner import PhaseRunner
from phosphene.train.runtime import Runtime
from phosphene.train.schedule import factor
from phosphene.train.settings import TrainSettings
from phosphene.train.sinks.tracking import WandbSink, _scalars


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("warmup", [0, 4])
def test_the_learning_rate_at_every_part_of_the_budget(schedule, final, warmup):
    settings = TrainSettings(schedule=schedule, final_lr=final, warmup=warmup)
    for step, progress in enumerate((0.0, 0.25, 0.5, 0.75, 1.0, 1.2)):
        spent = min(progress, 1.0)
        down = {
            "constant": 1.0, "linear": 1 - spent, "cosine": 0.5 * (1 + math.cos(math.pi * spent)),
        }[schedule]  # fmt: skip
        wanted = final + (1 - final) * down
        if warmup:
            wanted *= min(1.0, (step + 1) / warmup)
        assert factor(settings, step, progress) == pytest.approx(wanted)


def test_the_average_by_hand():
    net = nn.Linear(2, 1, bias=False)
    net.weight.data.fill_(8.0)
    ema = EMA(net, 0.5)
    wanted = 8.0
    for step in range(1, 40):
        net.weight.data.fill_(float(step))
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
        assert ema.average[0].flatten().tolist() == pytest.approx([wanted, wanted])
    with ema.applied():
        assert net.weight.flatten().tolist() == pytest.approx([wanted, wanted])
    assert net.weight.flatten().tolist() == [39.0, 39.0]


class Slope(Model):
    """Its gradient is the mean of x, and, if asked to, noise of the batch."""

    def __init__(self, noisy: bool = False) -> None:
        super().__init__(Event.real(3))
        self.w = nn.Parameter(torch.zeros(3))
        self.noisy, self.values = noisy, []

    def loss(self, batch: Batch) -> Loss:
        x = batch.x + batch.normal((3,)) if self.noisy else batch.x
        each = (x * self.w).sum(1) + 0.5 * self.w.square().sum()
        self.values.append((self.w.detach().clone(), x.clone()))
        return Loss(each.mean(), {"each": each})


def runner(model, **settings):
    told = TrainSettings(batch_size=8, **settings)
    (phase,) = model.phases()
    assert isinstance(phase, Phase)
    return PhaseRunner(phase, model, told, Runtime("cpu"))


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize(("size", "clip"), [(0.1, 1.0), (3.0, 1.0), (3.0, None), (0.5, 0.5)])
def test_gradients_are_clipped_to_a_norm_and_never_raised(size, clip, accumulate):
    model = Slope()
    x = torch.zeros(8, 3)
    x[:, 0], x[:, 1] = 0.6 * size, 0.8 * size
    x += torch.arange(8.0)[:, None] - 3.5  # a mean of nothing, but not of the micro-batches
    step = runner(model, optimizer="sgd", betas=(0.0, 0.9), lr=1.0, clip=clip,
                  accumulate=accumulate)  # fmt: skip
    step.gradient_step(Batch.of(x), 1.0, 0)
    moved = float(model.w.detach().norm())
    assert moved == pytest.approx(size if clip is None else min(size, clip), rel=1e-4)
    assert (model.w[:2] / moved).tolist() == pytest.approx([-0.6, -0.8], rel=1e-4)


def test_lbfgs_sees_one_function_however_often_it_asks():
    """Noise that changed within a step would give it another function each time."""
    model = Slope(noisy=True)
    runner(model, optimizer="lbfgs", lr=0.1).gradient_step(Batch.of(torch.ones(8, 3), seed=1), 1, 0)
    assert len(model.values) > 2
    first = model.values[0][1]
    assert all(torch.equal(x, first) for _, x in model.values)
    assert not torch.equal(first, torch.ones(8, 3))


def test_scalars_are_called_by_their_split(monkeypatch, tmp_path):
    step = StepEnd(3, 1.0, 0.5, None, {"loss": 2.0, "nll": 1.5})
    judged = Evaluated(step=4, seconds=2.0, scores={"loss": 7.0}, best=True)
    assert _scalars(step) == {"train/loss": 2.0, "train/nll": 1.5}
    assert _scalars(judged) == {"validation/loss": 7.0}
    assert _scalars(replace(judged, scores={})) == {}
    logged = []

    class Kept:
        def log(self, scalars, step):
            logged.append((step, scalars))

        def finish(self):
            logged.append("finished")

    fake = types.ModuleType("wandb")
    fake.init = lambda **about: Kept()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    sink = WandbSink(tmp_path, {})
    for event in (step, judged, replace(judged, scores={})):
        sink(event)
    sink.close()
    assert logged == [
        (3, {"train/loss": 2.0, "train/nll": 1.5}), (4, {"validation/loss": 7.0}), "finished",
    ]  # fmt: skip
