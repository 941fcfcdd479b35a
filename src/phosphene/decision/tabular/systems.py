"""The rows of learning in tables: agents, prediction, and the textbook's examples as proofs."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 60
"""Where the family stands among the others."""

_ROOM = "phosphene.decision.tabular"
_PROOFS = "phosphene.proofs"


def _agent(name: str, title: str, rows: tuple[int, ...], paper: str, target: str) -> System:
    return System(
        name=name,
        family="decision",
        title=title,
        kind="agent",
        events=("states",),
        rows=rows,
        paper=paper,
        target=f"{_ROOM}.{target}",
    )


def _proof(name: str, title: str, rows: tuple[int, ...], paper: str, module: str) -> System:
    return System(
        name=name,
        family="decision",
        title=f"Proof: {title}",
        kind="proof",
        rows=rows,
        paper=paper,
        target=f"{_PROOFS}.{module}:prove",
    )


SYSTEMS: tuple[System, ...] = (
    _agent("monte-carlo", "Monte Carlo control in a table", (92, 94),
           "Sutton and Barto, 2018", "monte_carlo:MonteCarlo"),
    System(
        name="temporal-difference",
        family="decision",
        title="TD(lambda): the values of a policy, from experience",
        kind="solver",
        rows=(93,),
        paper="Sutton, 1988",
        target=f"{_ROOM}.td:td_prediction",
    ),
    _agent("sarsa", "SARSA and SARSA(lambda)", (94, 95),
           "Rummery and Niranjan, 1994", "sarsa:Sarsa"),
    _agent("expected-sarsa", "Expected SARSA", (94, 95),
           "van Seijen, van Hasselt, Whiteson and Wiering, 2009", "sarsa:ExpectedSarsa"),
    _agent("n-step-sarsa", "n-step SARSA", (93, 95),
           "Sutton and Barto, 2018", "n_step:NStepSarsa"),
    _agent("q-learning", "Q-learning in a table", (94, 96), "Watkins, 1989",
           "q_learning:QLearning"),
    _agent("double-q-learning", "Double Q-learning in a table", (94, 96), "van Hasselt, 2010",
           "q_learning:DoubleQLearning"),
    _proof("random-walk", "temporal differences against Monte Carlo on a random walk", (92, 93),
           "Sutton, 1988; Sutton and Barto, 2018", "random_walk"),
    _proof("batch-td", "batch TD is the solution of the estimated process", (92, 93),
           "Sutton, 1988; Singh and Sutton, 1996", "batch_td"),
    _proof("exploration", "epsilon-greedy, softmax and schedules", (94,),
           "Watkins and Dayan, 1992", "exploration"),
    _proof("cliff-walking", "SARSA keeps away from the cliff", (95, 96),
           "Sutton and Barto, 2018", "cliff_walking"),
    _proof("windy-gridworld", "SARSA finds its way through the wind", (95,),
           "Sutton and Barto, 2018", "windy_gridworld"),
    _proof("maximization-bias", "two tables are not fooled by a maximum of guesses", (96,),
           "van Hasselt, 2010", "maximization_bias"),
)  # fmt: skip
