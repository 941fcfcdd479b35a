"""``phosphene solve``: exact values and policies of processes that are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written
from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Within

if TYPE_CHECKING:
    from phosphene.decision.mdp.mdp import MDP
    from phosphene.decision.mdp.solution import Solution


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Solve a Markov decision process exactly: no learning, no sampling.

    Args:
        solver: value-iteration, policy-iteration, linear-programming or bellman-evaluation (of the
            policy that acts at random).
        env: A process with a table: FrozenLake-v1, CliffWalking-v1, Taxi-v4, a map (grid:cliff,
            grid:FILE), or random:states=1000,actions=4,seed=0. Options go behind a question mark:
            FrozenLake-v1?map_name=8x8.
        gamma: Discount; 1 where every episode ends.
        tolerance: Largest error of the values.
        out: A picture of values and actions, for processes that are maps (.png).
        json: Print one JSON object, with all values.
    """

    solver: Positional[Annotated[str, arg(metavar="SOLVER")]] = "value-iteration"
    env: Annotated[str, arg(metavar="ENV")] = "FrozenLake-v1"
    gamma: Annotated[float, Within(0, 1)] = 0.99
    tolerance: Annotated[float, Within(1e-15, 1e6)] = 1e-8
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Solve, and show values."""
    arguments = parse(Arguments, argv, "phosphene solve")
    from phosphene.api.solve import process, solve
    from phosphene.train.files import destination, write_atomically

    mdp = process(arguments.env)
    if arguments.out is not None and mdp.grid is None:
        raise ConfigError(f"{arguments.env!r} is no map, so that --out has nothing to draw")
    out = None if arguments.out is None else destination(arguments.out, (".png",))
    solution = solve(arguments.solver, mdp, gamma=arguments.gamma, tolerance=arguments.tolerance)
    if out is not None:
        from phosphene.evaluate.plots import png
        from phosphene.subjects.environment.value_map import value_map

        assert mdp.grid is not None
        figure = value_map(mdp.grid, solution.values, solution.policy)
        write_atomically(out, png(figure))
    if arguments.json:
        print_json(_described(arguments, mdp, solution))
    else:
        _show(arguments, mdp, solution)
    return 0


def _described(arguments: Arguments, mdp: "MDP", solution: "Solution") -> dict[str, Any]:
    return {
        "solver": arguments.solver,
        "env": arguments.env,
        "states": mdp.states,
        "actions": mdp.actions,
        "gamma": arguments.gamma,
        "start_value": solution.start_value(mdp),
        "iterations": solution.iterations,
        "residual": solution.residual,
        "seconds": solution.seconds,
        "values": solution.values.tolist(),
        "policy": solution.policy.tolist(),
    }


def _show(arguments: Arguments, mdp: "MDP", solution: "Solution") -> None:
    print_table(
        ("", "value"),
        [
            ("states x actions", f"{mdp.states:,} x {mdp.actions}"),
            ("value of the start", f"{solution.start_value(mdp):.10g}"),
            ("iterations", str(solution.iterations)),
            ("Bellman residual", f"{solution.residual:.2g}"),
            ("seconds", f"{solution.seconds:.4f}"),
        ],
        title=f"{arguments.solver} of {arguments.env}, gamma {arguments.gamma:g}",
        right=("value",),
    )
    out = screen()
    if mdp.grid is not None:
        out.print(written(mdp.grid.draw(solution.policy)))
    if arguments.out is not None:
        out.print(written(str(arguments.out)))
