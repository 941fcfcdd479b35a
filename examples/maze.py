"""A maze of your own: solved exactly, learned in a table, learned by a network.

python examples/maze.py [BUDGET]
"""

import sys
from pathlib import Path

import phosphene as ph

MAZE = """\
S..#....
.#.#.##.
.#...#..
.####.#.
......#G
"""


def main(budget: str = "60000steps") -> None:
    """Compare what three ways find from the same text file."""
    Path("maze.txt").write_text(MAZE)
    env = "grid:maze.txt?slip=0.2&step=-1&goal=0&limit=200"

    mdp = ph.decision.make(env).mdp
    exact = ph.decision.value_iteration(mdp, gamma=1.0)
    print("exact solution, from the start:", round(exact.start_value(mdp), 2))
    print(mdp.grid.draw(exact.policy))

    for system in ("q-learning", "ppo"):
        run = ph.train(system, env=env, budget=budget, threads=1)
        score = ph.evaluate(run, episodes=200)["return_mean"]
        print(f"{system}: {score.value:.2f} +- {score.stderr:.2f}, see {run.path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
