"""Q-learning in tables: our learner against the usual loop in plain Python through gymnasium.

    python -m benchmarks.tabular [--quick] [--json FILE]

The loop is written here: an environment of gymnasium's as ``make`` gives it, Q as a list of lists,
actions by ``random``. Before anything is timed, both take the same steps: the loop's random numbers
and the environment's are replaced by ours, and all of Q must be equal. A time is that of so many
steps, which the case names.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.learner import Learner
from phosphene.kernels.library import backend
from phosphene.kernels.tabular import uniform

__all__ = ["QUICK", "Size", "cases", "main"]

ALPHA, EPSILON, GAMMA = 0.5, 0.1, 0.99
START, EXPLORE, PICK, OUTCOME = range(4)


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        steps: Steps that are timed, of both.
        checked: Steps in which both must come to the same Q.
        rounds: Measurements of each case.
    """

    steps: int = 200_000
    checked: int = 20_000
    rounds: int = 5


QUICK = Size(steps=40_000, checked=5_000, rounds=3)
ENVIRONMENTS = ("CliffWalking-v1", "FrozenLake-v1", "Taxi-v4")


def loop(
    environment: Any,
    steps: int,
    explore: Callable[[], float] = random.random,
    pick: Callable[[], float] = random.random,
    before: Callable[[int, int], None] | None = None,
) -> list[list[float]]:
    """Q-learning as it is usually written; ``before`` is told the step and what is drawn next."""
    states, actions = int(environment.observation_space.n), int(environment.action_space.n)
    q = [[0.0] * actions for _ in range(states)]
    done = True
    for t in range(steps):
        if done:
            if before is not None:
                before(t, START)
            s, _ = environment.reset()
        row = q[s]
        u, v = explore(), pick()
        if u < EPSILON:
            a = int(v * actions)
        else:
            most = max(row)
            best = [k for k in range(actions) if row[k] == most]
            a = best[int(v * len(best))]
        if before is not None:
            before(t, OUTCOME)
        s2, reward, terminated, truncated, _ = environment.step(a)
        target = reward if terminated else reward + GAMMA * max(q[s2])
        row[a] += ALPHA * (target - row[a])
        s, done = s2, terminated or truncated
    return q


class Numbers:
    """Stands for an environment's generator: the learner's numbers, in its order."""

    def __init__(self, key: int) -> None:
        self.key, self.step, self.slot = key, 0, START

    def expect(self, step: int, slot: int) -> None:
        """What the next number is for."""
        self.step, self.slot = step, slot

    def random(self) -> float:
        """A number in [0, 1)."""
        return uniform(self.key, self.step, self.slot)


def learner(name: str, **options: Any) -> Learner:
    """Ours, with the loop's settings."""
    mdp = MDP.from_gym(name)
    return Learner(mdp, "q-learning", alpha=ALPHA, epsilon=EPSILON, gamma=GAMMA, **options)


def cases(size: Size) -> Iterator[Case]:
    """One for each environment; none without gymnasium."""
    if not installed("gymnasium"):
        return
    import gymnasium

    for name in ENVIRONMENTS:
        yield _case(name, gymnasium.make(name), size)


def _case(name: str, environment: Any, size: Size) -> Case:
    ours = learner(name)

    def check() -> float:
        mine = learner(name, seed=1)
        mine.advance(size.checked)
        key = mine.settings.key
        numbers, before = Numbers(key), environment.unwrapped.np_random
        explore, pick = (
            iter([uniform(key, t, slot) for t in range(size.checked)]) for slot in (EXPLORE, PICK)
        )
        environment.unwrapped.np_random = numbers
        theirs = loop(environment, size.checked, explore.__next__, pick.__next__, numbers.expect)
        environment.unwrapped.np_random = before
        gap = float((torch.tensor(theirs, dtype=torch.float64) - mine.q).abs().max())
        assert gap == 0.0, f"Q differs by {gap:.1e}"
        return gap

    def their_steps(watch: Watch) -> None:
        loop(environment, size.steps)

    def our_steps(watch: Watch) -> None:
        ours.advance(size.steps)

    what = f"Q-learning in {name}, {size.steps:,} steps, plain Python"
    return Case(what, "gymnasium", check, their_steps, our_steps)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Q-learning in tables against a loop in Python", argv)
    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    print(f"kernels: {backend().name} ({backend().why})")
    rows = run_all(cases(size), size.rounds, ("gymnasium",))
    for row in rows:
        print(f"{row.case.split(',')[0]}: {size.steps / row.ours_ms / 1e3:.1f} million steps/s")
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()
