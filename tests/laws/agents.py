"""Laws of every agent: it is built, acts, learns, stops, goes on and shares work as it should."""

import copy
import inspect
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import phosphene as ph
from phosphene.catalog import System
from phosphene.core.agent import Agent
from phosphene.core.config import decode, encode
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.progress import StepEnd
from phosphene.core.subject import Alone
from phosphene.decision.environments.table import make, spec
from tests.laws.support import OneProcess, one_sentence

AgentLaw = Callable[[System, str, Path], None]
AGENT_LAWS: dict[str, AgentLaw] = {}
AGENT_CONCERNS: dict[str, Callable[[System, str], bool]] = {}

ENVIRONMENTS = {
    "states": "grid:frozen-lake-4x4",
    "discrete": "CartPole-v1",
    "continuous": "Pendulum-v1",
    "pixels": "Catch",
}
"""What an agent may claim to act in, and an environment of each kind."""

_SMALL: dict[str, Any] = {
    "environments": 4, "steps": 8, "epochs": 2, "batch_size": 8, "hidden": (8,),
    "capacity": 200, "warmup": 24,
}  # fmt: skip


def small(row: System, **more: Any) -> dict[str, Any]:
    """Settings that make an agent quick; those that it does not take are left out."""
    known = inspect.signature(row.load().__init__).parameters
    own = {"environments": 1, "steps": 20} if is_tabular(row) else {}
    return {k: v for k, v in {**_SMALL, **own, **more}.items() if k in known}


def agent_law(
    when: Callable[[System, str], bool] = lambda row, kind: True,
) -> Callable[[AgentLaw], AgentLaw]:
    """Register a law of an agent in one kind of environment, for those of which ``when`` holds."""

    def register(function: AgentLaw) -> AgentLaw:
        AGENT_LAWS[function.__name__] = function
        AGENT_CONCERNS[function.__name__] = when
        return function

    return register


def agent_laws(row: System, kind: str) -> list[str]:
    """The names of the laws that concern an agent in a kind of environment."""
    return [name for name, when in AGENT_CONCERNS.items() if when(row, kind)]


def is_tabular(row: System, kind: str = "") -> bool:
    """Tables are learned by rules and not by gradients, in one environment."""
    return "tabular" in row.target


def built(row: System, kind: str, **more: Any) -> Agent:
    agent = ph.build(row.name, spec(ENVIRONMENTS[kind]), seed=0, **small(row, **more))
    assert isinstance(agent, Agent)
    return agent


def observations(kind: str, n: int = 6) -> Tensor:
    environment = make(ENVIRONMENTS[kind], n, seed=3)
    environment.reset()
    about = environment.spec
    action = torch.zeros(n, about.action_dim)
    if about.discrete:
        action = torch.zeros(n, dtype=torch.long)
    for _ in range(3):
        step = environment.step(action)
    return step.observation


@agent_law(when=lambda row, kind: bool(set(ENVIRONMENTS) - set(row.events)))
def law_refuses_what_it_does_not_claim(row: System, kind: str, tmp_path: Path) -> None:
    """Other kinds of environment are refused in one sentence."""
    for other, name in ENVIRONMENTS.items():
        if other in row.events:
            continue
        try:
            ph.build(row.name, spec(name), **small(row))
        except (EventError, ConfigError) as error:
            one_sentence(error)
        else:
            raise AssertionError(f"{other} is accepted, though the row does not claim it")


@agent_law()
def law_configuration_round_trips(row: System, kind: str, tmp_path: Path) -> None:
    """``(spec, *, typed settings with JSON defaults)``; written and read, it is the same agent."""
    first, *rest = list(inspect.signature(row.load().__init__).parameters.values())[1:]
    assert first.name == "spec", "the first argument is the specification"
    for p in rest:
        assert p.kind is inspect.Parameter.KEYWORD_ONLY, f"{p.name} is not keyword-only"
        assert p.annotation is not inspect.Parameter.empty, f"{p.name} has no type"
        assert p.default is not inspect.Parameter.empty, f"{p.name} has no default"
        assert p.name in (row.load().__doc__ or ""), f"{p.name} is not explained"
    agent = built(row, kind)
    assert decode(encode(agent.config))["spec"] == agent.spec
    agent.save(tmp_path / "model", row.name)
    again = ph.load(tmp_path / "model")
    assert encode(again.config) == encode(agent.config)
    x = observations(kind)
    assert torch.equal(agent.eval().act(x), again.act(x))
    twin = copy.deepcopy(agent)
    for tensor in (*twin.parameters(), *twin.buffers()):
        tensor.data.zero_()
    assert torch.equal(agent.act(x), again.act(x)), "a copy shares tensors"


@agent_law()
def law_acts_within_the_space(row: System, kind: str, tmp_path: Path) -> None:
    """Actions have the space's type, shape and bounds, and each depends on its own row alone."""
    agent, x = built(row, kind).eval(), observations(kind)
    for greedy in (True, False):
        action = agent.act(x, greedy=greedy, generator=torch.Generator().manual_seed(1))
        if agent.spec.actions is not None:
            assert action.dtype == torch.int64
            assert action.shape == (6,)
            assert bool(((action >= 0) & (action < agent.spec.actions)).all())
        else:
            assert action.shape == (6, agent.spec.action_dim)
            low, high = torch.tensor(agent.spec.low), torch.tensor(agent.spec.high)
            assert bool(((action >= low) & (action <= high)).all())
        assert not action.requires_grad
    alone = torch.cat([agent.act(x[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(agent.act(x), alone, atol=1e-5, rtol=1e-4)


@agent_law()
def law_chance_comes_from_the_generator(row: System, kind: str, tmp_path: Path) -> None:
    """Greedy actions are certain, others a function of the generator; no global one is touched."""
    agent, x = built(row, kind).eval(), observations(kind)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    assert torch.equal(agent.act(x), agent.act(x))
    draws = [
        agent.act(x, greedy=False, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all()
    assert before[2] == after[2]


@agent_law(when=is_tabular)
def law_a_table_learns(row: System, kind: str, tmp_path: Path) -> None:
    """Experience moves the table, to finite values, where each step costs something."""
    name = "grid:gridworld"
    agent = ph.build(row.name, spec(name), seed=0, **small(row))
    assert isinstance(agent, Agent)
    source = agent.experience(make(name, agent.environments, seed=0), 0, Alone())
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    for k in range(30):
        batch = source.next(k, agent)
        for phase in agent.phases():
            assert phase.update is not None, f"{phase.name} has a loss: nothing is left to a table"
            phase.update(batch, OneProcess(k))
    after = agent.state_dict()
    assert all(bool(torch.isfinite(v).all()) for v in after.values() if v.is_floating_point())
    assert any(not torch.equal(before[n], v) for n, v in after.items()), "the table never moves"


@agent_law(when=lambda row, kind: not is_tabular(row))
def law_every_parameter_learns(row: System, kind: str, tmp_path: Path) -> None:
    """Each parameter of a phase gets a finite gradient that is not zero, from some batch."""
    agent = built(row, kind)
    environment = make(ENVIRONMENTS[kind], agent.environments, seed=0)
    source = agent.experience(environment, 0, Alone())
    phases = [p for p in agent.phases() if p.loss is not None]
    assert phases, "no phase has a loss"
    for phase in phases:
        found = [torch.zeros_like(p) for p in phase.parameters]
        for k in range(4):
            batch = source.next(k, agent)
            assert phase.loss is not None
            for p in agent.parameters():
                p.grad = None
            loss = phase.loss(batch)
            assert bool(torch.isfinite(loss.total))
            loss.total.backward()
            for total, p in zip(found, phase.parameters, strict=True):
                assert p.grad is not None, f"{phase.name}: a parameter has no gradient"
                assert bool(torch.isfinite(p.grad).all())
                total += p.grad.abs()
        assert all(bool((g > 0).any()) for g in found), f"{phase.name}: a parameter never learns"


@agent_law()
def law_a_run_goes_on_bit_for_bit(row: System, kind: str, tmp_path: Path) -> None:
    """A training that is stopped and resumed ends in the bits of one that was not."""
    # A cycle of REINFORCE is as long as its episodes: 200 steps of a pendulum, 9 of Catch.
    long = {"continuous": "3300steps", "discrete": "800steps", "states": "800steps"}
    budget = long.get(kind, "160steps") if row.name == "reinforce" else "160steps"
    common: dict[str, Any] = {
        "env": ENVIRONMENTS[kind], "budget": budget, "folder": tmp_path, "threads": 1,
        "train": {"log_every": 1},
    }  # fmt: skip

    def stop(event: object) -> None:
        if isinstance(event, StepEnd) and event.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    model = small(row)
    whole = ph.train(row.name, name="whole", model=model, **common)
    ph.train(row.name, name="cut", model=model, listeners=[stop], **common)
    assert ph.Run(tmp_path / "cut").metrics[-1]["finished"] == "interrupted"
    cut = ph.train(row.name, name="cut", resume=True, **common)
    ours, theirs = ph.load(whole.path, "last"), ph.load(cut.path, "last")
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(a, b), f"{name} differs after a resume"
    last = [next(m for m in reversed(r.metrics) if "loss" in m) for r in (whole, cut)]
    keys = [k for k in last[0] if k != "seconds"]
    assert {k: last[0][k] for k in keys} == {k: last[1][k] for k in keys}


@agent_law(when=lambda row, kind: not is_tabular(row))
def law_ranks_meet_the_same(row: System, kind: str, tmp_path: Path) -> None:
    """Two processes with half of the environments each get the halves of one process's batches."""
    agent = built(row, kind)
    assert agent.environments > 1, "it has one environment: there is nothing to share"
    name, n = ENVIRONMENTS[kind], agent.environments
    alone = agent.experience(make(name, n, seed=0), 0, Alone())
    whole = [alone.next(k, copy.deepcopy(agent)) for k in range(3)]
    shared = _Exchange(2)
    parts: list[list[Any]] = [[], []]

    def work(rank: int) -> None:
        first, last = n * rank // 2, n * (rank + 1) // 2
        own = copy.deepcopy(agent)
        environment = make(name, last - first, seed=0, first=first)
        source = own.experience(environment, 0, shared.seat(rank))
        parts[rank] = [source.next(k, own) for k in range(3)]

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(part) == len(whole) for part in parts), "a rank has died"
    for k, batch in enumerate(whole):
        for key, value in batch._columns().items():
            if isinstance(value, Tensor):
                both = torch.cat([parts[rank][k]._columns()[key] for rank in (0, 1)])
                torch.testing.assert_close(both, value, atol=1e-5, rtol=1e-4)


class _Exchange:
    """Ranks that are threads."""

    def __init__(self, world: int) -> None:
        self.world, self.barrier = world, threading.Barrier(world, timeout=60)
        self.slots: list[Tensor | None] = [None] * world

    def seat(self, rank: int) -> "_Seat":
        return _Seat(self, rank)


class _Seat:
    def __init__(self, exchange: _Exchange, rank: int) -> None:
        self.exchange, self.rank, self.world = exchange, rank, exchange.world

    def join(self, value: Tensor, dim: int = 0) -> Tensor:
        self.exchange.slots[self.rank] = value
        self.exchange.barrier.wait()
        joined = torch.cat([v for v in self.exchange.slots if v is not None], dim)
        self.exchange.barrier.wait()
        return joined
