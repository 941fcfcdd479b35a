"""What the gate before the native library costs: in a call, and of a whole step or draw.

    python -m benchmarks.gate [--quick] [--json FILE]

A step of a learner or a draw of a model is run once while every call of the library is written
down. Each such call is then timed as it was made, through the gate, and in turns with it through
the same function without its checks, which makes the outputs and calls the library and trusts all
that it is given; what the library itself looks after as it goes is in both. The share is the sum
over the calls of a step, of that step's time.
"""

import argparse
import functools
import gc
import itertools
import json
import linecache
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from phosphene.core.agent import Agent
from phosphene.core.event import Event
from phosphene.core.subject import Alone
from phosphene.decision.deep.ppo import PPO
from phosphene.decision.environments.table import make, spec
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.learner import Learner
from phosphene.generative.autoregressive.nade import NADE
from phosphene.generative.flow.maf import MAF
from phosphene.kernels.library import backend
from phosphene.train.building import build

__all__ = ["Share", "main", "shares"]

Work = Callable[[], object]
_BOUND: list[dict[str, Any]] = []
"""Attributes of what keeps a gate's function for itself."""
_MODULES = [m for name, m in sys.modules.items() if name.startswith("phosphene.kernels.")]


@dataclass(frozen=True)
class Share:
    """One step or draw.

    Args:
        case: What it is.
        calls: How many calls of the library it makes.
        gate_us: What the checks add to one, in microseconds, in the mean over these.
        step_us: What the step takes.
        share: Of the step, in percent.
    """

    case: str
    calls: int
    gate_us: float
    step_us: float
    share: float


@dataclass(frozen=True)
class _Call:
    """A call through the gate, and the same without the checks."""

    gated: functools.partial[object]
    bare: functools.partial[object]


def _gates() -> Iterator[tuple[dict[Any, Any], Any, Any]]:
    """Where each gate's function is looked up, by what name, and the function."""
    for place in (*map(vars, _MODULES), *_BOUND):
        for name, value in list(place.items()):
            code = getattr(value, "__code__", None)
            if code is not None and code.co_filename.startswith("<gate of"):
                yield place, name, value


@contextmanager
def _written_down(calls: list[_Call]) -> Iterator[None]:
    """Inside, every call of the library is written down."""
    found = list(_gates())
    for place, name, function in found:
        place[name] = functools.partial(_record, calls, function)
    try:
        yield
    finally:
        for place, name, function in found:
            place[name] = function


def _record(calls: list[_Call], function: Any, *arguments: Any) -> Any:
    found = function(*arguments)
    if found is not None:
        bare = functools.partial(_unchecked(function), *arguments)
        calls.append(_Call(functools.partial(function, *arguments), bare))
    return found


_REFUSES = re.compile(
    r"(wrong_\w+|small|broken|room|one_device|in_range|apart|choice|_cpu = |_grad = |_mixed = |"
    r"\w+ = (whole|real_number|flag)\()"
)


@functools.cache
def _unchecked(function: Any) -> Any:
    """The gate's function without every line that only refuses."""
    title, kept = function.__code__.co_filename, list[str]()
    lines = [line for line in linecache.getlines(title) if line.strip()]
    for line in lines:
        head, _, body = line.strip().partition(": ")
        refuses = _REFUSES.match(line.strip())
        if (head.startswith("if ") and _REFUSES.match(body)) or refuses:
            continue
        if kept and kept[-1].rstrip().endswith(":") and _depth(kept[-1]) >= _depth(line):
            kept.pop()  # nothing is left to do there
        kept.append(line)
    space = dict(function.__globals__)
    exec("".join(kept), space)
    return space["call"]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _seconds(work: Work, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def _added(call: _Call, rounds: int, batch: int) -> float:
    """The median of the differences of both, which take turns.

    Neither calls the library meanwhile: what that takes is the same, and far more than the checks.
    """
    functions = call.gated.func.__globals__["functions"]
    real = {key: f for key, f in functions.items() if key != "apart"}
    functions.update(dict.fromkeys(real, lambda *_: 0))
    try:
        differences = []
        for _ in range(rounds):
            bare = _seconds(call.bare, batch)
            differences.append(_seconds(call.gated, batch) - bare)
    finally:
        functions.update(real)
    return statistics.median(differences)


def _share(case: str, step: Work, rounds: int, calls: int) -> Share:
    for _ in range(3):
        step()
    made: list[_Call] = []
    with _written_down(made):
        step()
    gc.disable()
    batch = max(1, calls // rounds)
    by_kind: dict[Any, float] = {}
    total = 0.0
    for call in made:
        shapes = [tuple(a.shape) for a in call.gated.args if isinstance(a, torch.Tensor)]
        key = (call.gated.func, str(shapes))
        if key not in by_kind:
            by_kind[key] = _added(call, rounds, batch)
        total += by_kind[key]
    whole = statistics.median(_seconds(step, 5) for _ in range(101))
    gc.enable()
    return Share(case, len(made), 1e6 * total / len(made), 1e6 * whole, 100 * total / whole)


# -- steps and draws -------------------------------------------------------------------------------


def _update(name: str, **settings: Any) -> Work:
    """A gradient step of an agent on CartPole."""
    agent = build(name, spec("CartPole-v1"), seed=1, **settings)
    assert isinstance(agent, Agent)
    environments = settings.get("environments", 8)
    experience = agent.experience(make("CartPole-v1", environments, seed=1), 1, Alone())
    batch = experience.next(0, agent)
    optimizer = torch.optim.Adam(agent.parameters(), 3e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        agent.loss(batch).total.backward()
        optimizer.step()

    return step


def _steps() -> Iterator[tuple[str, Work]]:
    yield "PPO update, 128 rows", _update("ppo", environments=4, steps=128, batch_size=128)
    yield "DQN update, 64 rows", _update("dqn", batch_size=64, capacity=4096, warmup=512)
    yield from _acting()
    yield from _draws()


def _acting() -> Iterator[tuple[str, Work]]:
    for n in (1, 8):
        environment = make("CartPole-v1", n, seed=1)
        environment.reset()
        _BOUND.append(vars(environment._native))
        action = torch.zeros(n, dtype=torch.int64)
        yield f"CartPole, {n} environments, 1 step", functools.partial(environment.step, action)
    ppo = build("ppo", spec("CartPole-v1"), seed=1)
    assert isinstance(ppo, PPO)
    x = torch.zeros(8, 4)
    yield "PPO acts, 8 rows", torch.no_grad()(functools.partial(ppo.act, x))
    agent = build("q-learning", spec("CliffWalking-v1"), seed=1)
    assert isinstance(agent, Agent)
    experience = agent.experience(make("CliffWalking-v1", 1, seed=1), 1, Alone())
    cycles = itertools.count()
    yield (
        f"Q-learning, a cycle of {experience.steps:,} steps",  # type: ignore[attr-defined]
        lambda: agent.take_over(experience.next(next(cycles), agent), None),  # type: ignore
    )
    mdp = MDP.random(500, 6, branching=2, seed=0)
    learner = Learner(mdp, "q-learning", alpha=0.5, epsilon=0.1)
    yield "Q-learning in 500 states, 1,000 steps", functools.partial(learner.advance, 1000)
    traces = Learner(mdp, "sarsa", alpha=0.1, lambda_=0.9)
    yield "SARSA(lambda) in 500 states, 1,000 steps", functools.partial(traces.advance, 1000)


def _draws() -> Iterator[tuple[str, Work]]:
    maf = MAF(Event.real(8), layers=5, hidden=(64, 64)).eval()
    nade = NADE(Event.binary(64), hidden=100).eval()
    for n in (1, 100):
        yield (
            f"MAF of 8 reals, 5 layers, {n} draws",
            torch.no_grad()(functools.partial(maf.sample, n)),
        )
        yield f"NADE of 64 bits, {n} draws", torch.no_grad()(functools.partial(nade.sample, n))


def shares(rounds: int = 1_001, calls: int = 100_000) -> list[Share]:
    """All rows; ``calls`` of each kind, in ``rounds`` batches."""
    assert backend().library is not None, backend().why
    return [_share(case, step, rounds, calls) for case, step in _steps()]


def main() -> int:
    """Measure, print, and write a file where one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = shares(101, 5_000) if arguments.quick else shares()
    print(f"{backend().name}, {torch.get_num_threads()} thread")
    print(f"{'step or draw':<40}{'calls':>7}{'gate us':>10}{'step us':>11}{'share %':>9}")
    for row in found:
        print(
            f"{row.case:<40}{row.calls:>7}{row.gate_us:>10.2f}{row.step_us:>11.1f}{row.share:>9.2f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
