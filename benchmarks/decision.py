"""Reinforcement learning against the packages a user would pick instead: all parts in one table.

    python -m benchmarks.decision [--quick] [--json FILE] [--race] [--seeds N]

Exact solution (``benchmarks.dynamic_programming``), tables (``benchmarks.tabular``), environments
(``benchmarks.environments``), deep agents' learners at identical settings
(``benchmarks.deep_agents``), and how long it takes to learn CartPole, each at its own settings;
``--race`` is that alone, on one thread each.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks import deep_agents, dynamic_programming, environments, tabular
from benchmarks import stable_baselines as sb3
from benchmarks.cleanrl_loops import DQNLoop, DQNSettings, PPOLoop, PPOSettings
from benchmarks.common import Case, Row, arguments, installed, run_all, write_json
from phosphene.api import train as training
from phosphene.core.agent import Agent
from phosphene.core.environment import Environment
from phosphene.core.progress import Evaluated, Saved, TrainingEvent
from phosphene.core.rng import mix
from phosphene.decision.environments.table import make, spec
from phosphene.kernels.library import backend
from phosphene.subjects.environment.choosing import select_for
from phosphene.subjects.environment.judge import Episodes
from phosphene.train.building import build

__all__ = ["QUICK", "Entrant", "Result", "Size", "cases", "main", "race", "races"]

CARTPOLE, SOLVED = "CartPole-v1", 475.0
EVERY, EPISODES = 2048, 100  # environment steps between pauses; greedy episodes played in each
HELD = 3  # pauses in a row in which an agent must play well: many do so once, and forget it again
PEERS = (*dynamic_programming.PEERS, "gymnasium", sb3.PEER)


Act = Callable[[Tensor], Tensor]


class Reached(Exception):
    """The agent plays well enough."""


class Clock:
    """Wall and processor seconds of a training, without its pauses."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._since: tuple[float, float] | None = None

    def go(self) -> None:
        """Begin, or go on."""
        self._since = time.perf_counter(), time.process_time()

    def halt(self) -> None:
        """Stop for a while."""
        if self._since is not None:
            wall, cpu = self._since
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu
            self._since = None


class Referee:
    """Halts a training every so often and lets the agent play greedy episodes, always the same.

    A training tells it of its environment steps; it raises :class:`Reached` when the mean return
    was high enough ``HELD`` times in a row. The score that is told in the end is of other episodes.

    Args:
        seed: Of the run: all that run with it meet the same episodes.
        goal: The mean return that is asked for.
    """

    def __init__(self, seed: int, goal: float = SOLVED) -> None:
        self.clock, self.goal = Clock(), goal
        self.steps, self.due, self.found = 0, EVERY, 0.0
        self.held, self.validated, self.scored = 0, 0, 0.0
        self.environment = make(CARTPOLE, EPISODES, seed=mix(seed, 1))
        self._start = self.environment.state_dict()
        self._others = make(CARTPOLE, EPISODES, seed=mix(seed, 2))
        self.act: Act | None = None

    def __call__(self, steps: int, act: Act) -> None:
        """What a training calls between its cycles."""
        self.clock.halt()
        if steps >= self.due:
            self.steps, self.due = steps, (steps // EVERY + 1) * EVERY
            self.play(act)
            self.judge()
        self.clock.go()

    def judge(self) -> None:
        """End the training if the last plays were good enough."""
        self.held = self.held + 1 if self.found >= self.goal else 0
        if self.held >= HELD:
            raise Reached

    def play(self, act: Act) -> float:
        """The mean return of the episodes that judge."""
        self.environment.load_state_dict(self._start)
        self.found, steps = _played(self.environment, act)
        self.validated += steps
        self.act = act
        return self.found

    def score(self) -> float:
        """The mean return of others, by the agent as it was played last."""
        if self.act is None:
            return float("nan")
        return _played(self._others, self.act)[0]


@torch.no_grad()
def _played(environment: Environment, act: Act) -> tuple[float, int]:
    """The mean return of an episode in each environment, and the steps of these episodes."""
    x = environment.reset()
    running = torch.ones(environment.n, dtype=torch.bool)
    total = torch.zeros(environment.n, dtype=torch.float64)
    steps = 0
    while bool(running.any()):
        step = environment.step(act(x))
        total += step.reward * running
        steps += int(running.sum())
        running &= ~step.done
        x = step.observation
    return float(total.mean()), steps


@dataclass(frozen=True)
class Result:
    """How one training went: seconds and environment steps until it was good enough, or ended.

    Args:
        wall: Seconds of training.
        cpu: Processor seconds of training.
        steps: Environment steps of training.
        validated: Those of the episodes that judged it.
        score: The mean return of other episodes.
        reached: Whether it was good enough.
    """

    wall: float
    cpu: float
    steps: int
    validated: int
    score: float
    reached: bool


@dataclass(frozen=True)
class Entrant:
    """Somebody who learns CartPole.

    Args:
        name: With what settings.
        peer: The package; empty for ours.
        run: Trains with a seed, telling the referee.
        threads: How many it is given.
    """

    name: str
    peer: str
    run: Callable[[int, Referee], object]
    threads: int = 1

    def train(self, seed: int, goal: float = SOLVED) -> Result:
        """Train until it is good enough or its budget is spent."""
        torch.set_num_threads(self.threads)
        referee = Referee(seed, goal)
        reached = False
        try:
            self.run(seed, referee)
        except Reached:
            reached = True
        clock = referee.clock
        clock.halt()
        score = referee.score()
        return Result(clock.wall, clock.cpu, referee.steps, referee.validated, score, reached)


def ours(system: str, budget: str | None = None, threads: int = 1) -> Entrant:
    """Our default recipe, through ``phosphene.train``, whose judge is the referee."""
    recipe = select_for(system, CARTPOLE)
    agent: Any = build(system, spec(CARTPOLE), **recipe.model)
    cycle = agent.environments * (agent.act_steps if hasattr(agent, "act_steps") else agent.steps)

    def run(seed: int, referee: Referee) -> None:
        class Plays:
            """The referee as the trainer's judge."""

            steps, n = 0, None

            def __call__(self, model: Agent, *about: object) -> dict[str, float]:
                referee.clock.halt()
                found = referee.play(model.act)
                return {"loss": -found, "return": found}

            def close(self) -> None:
                """Nothing is held."""

        def listen(event: TrainingEvent) -> None:
            if isinstance(event, Saved) and event.step == 0:
                referee.clock.go()
            elif isinstance(event, Evaluated):
                referee.steps = int(event.scores["environment_steps"])
                referee.judge()
                referee.clock.go()

        judged = mock.patch.object(Episodes, "planned", return_value=Plays())
        often = {"evaluate_every": max(1, EVERY // cycle), "validation_share": None}
        with TemporaryDirectory() as folder, judged:
            training.train(
                system, env=CARTPOLE, seed=seed, budget=budget, folder=folder, train=often,
                threads=threads, listeners=[listen],
            )  # fmt: skip

    return Entrant(f"our {system}", "", run, threads)


def zoo(system: str, n: int, settings: Mapping[str, Any], steps: int, threads: int = 1) -> Entrant:
    """stable-baselines3 with its zoo's settings; PPO's rate and clip fall, as there."""

    def run(seed: int, referee: Referee) -> None:
        model = sb3.made(system, CARTPOLE, n, settings, seed, falls=system == "ppo")
        referee.clock.go()
        sb3.learn(model, steps, referee)

    return Entrant(f"SB3 zoo's {system}", sb3.PEER, run, threads)


def script(system: str, steps: int, threads: int = 1) -> Entrant:
    """A plain loop with the settings of CleanRL's script, whose schedules are for 500,000 steps."""

    def run(seed: int, referee: Referee) -> None:
        loop: Any
        if system == "ppo":
            loop = PPOLoop(CARTPOLE, seed, PPOSettings())
        else:
            loop = DQNLoop(CARTPOLE, seed, DQNSettings())
        referee.clock.go()
        loop.run(steps, referee)

    return Entrant(f"a loop with CleanRL's {system} settings", deep_agents.LOOP, run, threads)


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Args:
        quick: Whether the other parts are at their small sizes.
        learners: Of deep agents' learners.
        seeds: Trainings of each entrant, of agents with policies and of those with values.
        scripts: The most environment steps of a loop with CleanRL's settings; 0 for no such loop.
        rounds: Measurements of each case.
    """

    quick: bool = False
    learners: deep_agents.Size = field(default_factory=deep_agents.Size)
    seeds: tuple[int, int] = (5, 3)
    scripts: int = 250_000
    rounds: int = 5


QUICK = Size(quick=True, learners=deep_agents.QUICK, seeds=(1, 1), scripts=0, rounds=3)


def races(size: Size, threads: deep_agents.Threads) -> list[list[Entrant]]:
    """Who learns against whom."""
    policies = [ours("ppo", threads=threads.of("ppo"))]
    values = [ours("dqn", threads=threads.of("dqn 8")), ours("pqn")]
    if installed(sb3.PEER):
        policies.append(zoo("ppo", 8, sb3.PPO_ZOO, 100_000, threads.of("sb3 ppo")))
        values.append(zoo("dqn", 1, sb3.DQN_ZOO, 50_000, threads.of("sb3 dqn 1")))
    if installed("gymnasium") and size.scripts:
        policies.append(script("ppo", size.scripts, threads.of("loop ppo")))
        values.append(script("dqn", size.scripts, threads.of("loop dqn")))
    return [policies, values]


def race(entrants: Sequence[Entrant], seeds: int, goal: float = SOLVED) -> Iterator[Row]:
    """Let all of them learn, seed by seed; a row for each pair of ours and a peer."""
    found: dict[str, list[Result]] = {entrant.name: [] for entrant in entrants}
    for seed in range(seeds):
        first = seed % len(entrants)
        for entrant in (*entrants[first:], *entrants[:first]):
            result = entrant.train(seed, goal)
            found[entrant.name].append(result)
            mark = "  " if result.reached else ">="
            print(
                f"    seed {seed}: {entrant.name:42} {mark} {result.wall:8.2f} s, "
                f"{result.steps:8,} steps and {result.validated:8,} of validation, "
                f"then {result.score:5.1f}, {entrant.threads} thr.",
                flush=True,
            )
    for own in (e for e in entrants if not e.peer):
        for peer in (e for e in entrants if e.peer):
            yield _row(own, peer, found[own.name], found[peer.name], goal)


def _row(
    own: Entrant, peer: Entrant, mine: Sequence[Result], theirs: Sequence[Result], goal: float
) -> Row:
    walls, cpus, marks = [], [], []
    for results in (theirs, mine):
        walls.append(1e3 * statistics.median(r.wall for r in results))
        cpus.append(statistics.median(r.cpu for r in results))
        marks.append(">=" if not all(r.reached for r in results) else "")
    told = "".join(
        f" ({who} {mark})" for who, mark in zip(("peer", "ours"), marks, strict=True) if mark
    )
    name = f"{CARTPOLE} to {goal:g}: {own.name}, {peer.name}{told}"
    ratio, cpu = walls[0] / walls[1], cpus[0] / cpus[1]
    return Row(name, peer.peer, version(peer.peer), walls[0], walls[1], ratio, 0.0, cpu)


def cases(size: Size, threads: deep_agents.Threads) -> Iterator[Case]:
    """All that are measured in turns; those of a peer that is missing are left out."""
    torch.set_num_threads(2)  # as in the parts' own commands
    yield from dynamic_programming.cases(size.quick)
    torch.set_num_threads(1)
    yield from tabular.cases(tabular.QUICK if size.quick else tabular.Size())
    if installed("gymnasium"):
        yield from environments.cases(size.quick)
    yield from deep_agents.cases(size.learners, threads)


def _race_alone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--race", action="store_true", help="only the race, one thread each")
    parser.add_argument("--seeds", type=int, metavar="N", help="trainings of each in the race")


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    what = "Reinforcement learning, all parts, against the packages at hand"
    options = arguments(what, argv, _race_alone)
    size, threads = QUICK if options.quick else Size(), deep_agents.Threads()
    if options.seeds:
        size = replace(size, seeds=(options.seeds, options.seeds))
    print(f"kernels: {backend().name} ({backend().why})")
    rows = [] if options.race else run_all(cases(size, threads), size.rounds, PEERS)
    print(
        f"\nto a mean return of {SOLVED:g} in {EPISODES} greedy episodes, played every {EVERY:,} "
        f"steps, {HELD} times in a row"
    )
    for entrants, seeds in zip(races(size, threads), size.seeds, strict=True):
        for row in race(entrants, seeds):
            rows.append(row)
            print(
                f"{row.case:70} {f'{row.peer} {row.version}':20} {row.peer_ms:9.0f} "
                f"{row.ours_ms:9.0f} {row.ratio:6.2f}x {row.cpu_ratio:6.2f}x",
                flush=True,
            )
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()
