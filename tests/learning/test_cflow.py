"""C-Flow learns from its condition: compared example by example with itself told nothing."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.context import ContextSpec
from phosphene.core.rng import generator, seeded
from phosphene.data.dataset import Dataset
from phosphene.generative.flow.cflow import CFlow
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.glow import Glow


def trained(train: Dataset, *, conditional: bool) -> CFlow:
    """A small flow after a few steps; both kinds start alike and see the same batches."""
    with seeded(0):
        flow = CFlow(
            train.event,
            context=ContextSpec(image=train.image_event),
            steps=1,
            hidden=8,
            condition_hidden=8,
            conditional=conditional,
        )
    fit(flow, train, steps=20)
    return flow


def fit(flow: Flow, train: Dataset, *, steps: int) -> None:
    """Steps of Adam on batches of 16."""
    order = generator(1)
    flow.prepare(Batch.of(*train.take(torch.randint(len(train), (128,), generator=order))))
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for step in range(steps):
        batch = Batch.of(*train.take(torch.randint(len(train), (16,), generator=order)), seed=step)
        optimizer.zero_grad()
        flow.loss(batch).total.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 50.0)
        optimizer.step()
    flow.eval()


@torch.no_grad()
def nats(flow: Flow, data: Dataset, n: int) -> Tensor:
    x, context = data.take(torch.arange(n))
    return -flow.elbo(x, context, generator=generator(2)).double()


def gain(told: Tensor, untold: Tensor) -> tuple[float, float]:
    """Mean of the differences by example, and its standard error."""
    difference = untold - told
    return float(difference.mean()), float(difference.std() / len(difference) ** 0.5)


def test_a_condition_lowers_the_bound_at_once() -> None:
    data = ph.data.load("sprites-masks", "validation")
    train, held = data.subset(torch.arange(500)), data.subset(torch.arange(500, 600))
    told, untold = (
        nats(trained(train, conditional=conditional), held, 100) for conditional in (True, False)
    )
    mean, error = gain(told, untold)
    assert mean > 3 * error, f"the condition gains {mean:.1f} +- {error:.1f} nats"


def test_a_glow_told_an_image_trains_on_the_pairs() -> None:
    """Any image flow takes the condition: C-Flow is one way among others."""
    data = ph.data.load("sprites-masks", "validation")
    train, held = data.subset(torch.arange(500)), data.subset(torch.arange(500, 600))
    found = {}
    for told in (True, False):
        with seeded(0):
            spec = ContextSpec(image=data.image_event if told else None)
            flow = Glow(data.event, context=spec, steps=1, hidden=8)
        fit(flow, train, steps=20)
        found[told] = nats(flow, held, 100)
    mean, error = gain(found[True], found[False])
    assert mean > 3 * error, f"the condition gains {mean:.1f} +- {error:.1f} nats"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["sprites-masks", "masks-sprites", "openmoji-lines"])
def test_a_conditional_flow_is_better_by_equal_steps(name: str, tmp_path: Path) -> None:
    """The default recipe's settings, and the same number of steps, told and untold."""
    held = ph.data.load(name, "validation")
    found = {}
    for conditional in (True, False):
        run = ph.train(
            "c-flow",
            data=name,
            budget="300steps",
            conditional=conditional,
            folder=tmp_path,
            name=f"{conditional}",
        )
        found[conditional] = nats(run.model.eval(), held, len(held))
    mean, error = gain(found[True], found[False])
    print(name, f"told {float(found[True].mean()):.1f}, gain {mean:.1f} +- {error:.1f} nats")
    assert mean > 3 * error
