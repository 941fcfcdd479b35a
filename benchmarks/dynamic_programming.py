"""Exact solution of decision processes against QuantEcon and pymdptoolbox.

    python -m benchmarks.dynamic_programming [--quick] [--json FILE]

Random processes (garnets) with 4 actions, 5 next states each, and a discount of 0.99, on two
threads. One row counts what each side does to its arrays before it can solve, one does not. Before
anything is timed, our values are compared with QuantEcon's, to 1e-6. pymdptoolbox stops when the
change is nearly the same everywhere, and does not add what is still to come, so that its values are
off by a constant (some tens here): its policies are compared instead, by what they are worth. It
checks matrices by way of dense ones, (S, S), which 100,000 states would need 75 GiB for, so that it
runs on few states only.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from phosphene.decision.mdp.evaluation import policy_values
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.solution import Solution
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.kernels.library import backend

__all__ = ["cases", "main"]

PEERS = ("quantecon", "pymdptoolbox")
GAMMA, TOLERANCE, ACTIONS = 0.99, 5e-7, 4
STATES, QUICK = (2_000, 100_000, 1_000_000), (2_000, 20_000)
TOOLBOX = 5_000
"""States up to which pymdptoolbox takes seconds, not minutes, to begin."""
ROUNDS = {2_000: 15, 20_000: 5, 100_000: 5, 1_000_000: 3}


class Problem:
    """One process as each side takes it: (s, a) rows, or a matrix of each action."""

    def __init__(self, states: int) -> None:
        from scipy.sparse import csr_matrix

        self.states, self.mdp = states, MDP.random(states, ACTIONS, seed=0)
        shape = (states * ACTIONS, states)
        arrays = (self.mdp.probability, self.mdp.next, self.mdp.indptr)
        self.rows = csr_matrix(arrays, shape=shape)
        self.rewards = self.mdp.rewards
        self.pairs = np.repeat(np.arange(states), ACTIONS), np.tile(np.arange(ACTIONS), states)

    def matrices(self) -> list[Any]:
        """p(. | ., a) of each action."""
        return [self.rows[a::ACTIONS] for a in range(ACTIONS)]

    def made(self) -> MDP:
        """Ours, from the same matrix."""
        return MDP(self.rows, self.rewards)


def by_values(mdp: MDP) -> Solution:
    """Ours, by value iteration."""
    return value_iteration(mdp, GAMMA, tolerance=TOLERANCE)


def by_policies(mdp: MDP) -> Solution:
    """Ours, by modified policy iteration, as the peer's."""
    return policy_iteration(mdp, GAMMA, sweeps=20, tolerance=TOLERANCE)


def _ours(p: Problem, solve: Callable[[MDP], Solution], *, set_up: bool) -> Callable[[Watch], None]:
    def run(watch: Watch) -> None:
        mdp = p.mdp
        if set_up:
            mdp = p.made()
        solve(mdp)

    return run


def quantecon(p: Problem) -> Iterator[Case]:
    """Its fastest way, modified policy iteration, whose bounds are ours."""
    from quantecon.markov import DiscreteDP

    def made() -> Any:
        return DiscreteDP(p.rewards.ravel(), p.rows, GAMMA, *p.pairs)

    def solved(process: Any) -> Any:
        return process.solve("modified_policy_iteration", epsilon=2 * TOLERANCE, k=20)

    ready = made()

    def check(solve: Callable[[MDP], Solution]) -> Callable[[], float]:
        def compare() -> float:
            ours, theirs = solve(p.made()), solved(made())
            difference = float(np.abs(ours.values - theirs.v).max())
            assert difference <= 2 * TOLERANCE, f"values differ by {difference}"
            return difference

        return compare

    def theirs(*, set_up: bool) -> Callable[[Watch], None]:
        return lambda watch: solved(made() if set_up else ready)

    for how, solve in (("value iteration", by_values), ("modified policy it.", by_policies)):
        for set_up in (True, False):
            words = "with set-up" if set_up else "solving alone"
            yield Case(
                f"{p.states:,} states, {words}: {how} against MPI",
                "quantecon",
                check(solve),
                theirs(set_up=set_up),
                _ours(p, solve, set_up=set_up),
                ROUNDS[p.states],
            )


def pymdptoolbox(p: Problem) -> Iterator[Case]:
    """Its fastest way, value iteration, which also stops on the span."""
    from mdptoolbox.mdp import ValueIteration

    matrices = p.matrices()

    def made() -> Any:
        return ValueIteration(matrices, p.rewards, GAMMA, epsilon=2 * TOLERANCE)

    def check() -> float:
        theirs, ours = made(), by_values(p.made())
        theirs.run()
        worth = policy_values(p.mdp, theirs.policy, GAMMA, initial_values=ours.values)
        difference = float(np.abs(ours.values - worth).max())
        assert difference <= 4 * TOLERANCE, f"its policy is worth {difference} less"
        return difference

    def theirs(*, set_up: bool) -> Callable[[Watch], None]:
        def run(watch: Watch) -> None:
            process = made()
            if not set_up:
                watch.start()
            process.run()

        return run

    for set_up in (True, False):
        words = "with set-up" if set_up else "solving alone"
        yield Case(
            f"{p.states:,} states, {words}: value iteration, policies alike",
            "pymdptoolbox",
            check,
            theirs(set_up=set_up),
            _ours(p, by_values, set_up=set_up),
            min(3, ROUNDS[p.states]),
        )


def cases(quick: bool) -> Iterator[Case]:
    """All cases, built one by one; those of a peer that is missing are left out."""
    for states in QUICK if quick else STATES:
        problem = Problem(states)
        if installed("quantecon"):
            yield from quantecon(problem)
        if installed("pymdptoolbox") and states <= TOOLBOX:
            yield from pymdptoolbox(problem)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Exact solution of decision processes against two peers", argv)
    torch.set_num_threads(2)
    print(f"kernels: {backend().name} ({backend().why}); 2 threads")
    rows = run_all(cases(options.quick), rounds=5, peers=PEERS)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()
