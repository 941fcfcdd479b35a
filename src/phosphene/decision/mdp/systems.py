"""The rows of exact solvers of known decision processes."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 50
"""Where the family stands among the others."""

_ROOM = "phosphene.decision.mdp"

SYSTEMS: tuple[System, ...] = (
    System(
        name="mdp",
        family="decision",
        title="Markov decision processes: tables, grids, gymnasium's toy text",
        kind="tool",
        rows=(88,),
        paper="Puterman, 1994",
        target=f"{_ROOM}.mdp:MDP",
    ),
    System(
        name="bellman-evaluation",
        family="decision",
        title="The value of a policy, by a linear solve and by sweeps",
        kind="solver",
        rows=(89,),
        paper="Bellman, 1957",
        target=f"{_ROOM}.evaluation:evaluate_policy",
    ),
    System(
        name="value-iteration",
        family="decision",
        title="Value iteration with bounds, without the actions they rule out",
        kind="solver",
        rows=(90,),
        paper="Bellman, 1957; MacQueen, 1966",
        target=f"{_ROOM}.value_iteration:value_iteration",
    ),
    System(
        name="policy-iteration",
        family="decision",
        title="Policy iteration, exact or with a few sweeps an evaluation",
        kind="solver",
        rows=(91,),
        paper="Howard, 1960; Puterman and Shin, 1978",
        target=f"{_ROOM}.policy_iteration:policy_iteration",
    ),
    System(
        name="linear-programming",
        family="decision",
        title="Linear programming: the least V with V >= T V, by HiGHS",
        kind="solver",
        rows=(90, 91),
        paper="d'Epenoux, 1963",
        target=f"{_ROOM}.linear_programming:linear_programming",
        requires=("scipy",),
    ),
)
