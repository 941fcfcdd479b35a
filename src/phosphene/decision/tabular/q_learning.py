"""Q-learning, and double Q-learning: learning the best policy while following another."""

from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.decision.tabular.learner import Control, Learner, history_of
from phosphene.decision.tabular.schedules import Schedule
from phosphene.decision.tabular.table_agent import TableAgent

__all__ = ["DoubleQLearning", "QLearning", "double_q_learning", "q_learning"]


def q_learning(
    source: Any,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule = 0.5,
    epsilon: float | str | Schedule = 0.1,
    temperature: float | str | Schedule | None = None,
    policy: ArrayLike | Tensor | None = None,
    initial: float | ArrayLike | Tensor = 0.0,
    ties: str = "random",
    limit: int | None = None,
    seed: int = 0,
) -> Control:
    """Off-policy control by one-step differences (Watkins, 1989).

    Q(s, a) += alpha [r + gamma max_a' Q(s', a') - Q(s, a)]

    Whatever is followed, Q comes to the values of the best policy if every pair is met for ever
    and the steps fall as they must (Watkins and Dayan, 1992; :func:`.schedules.harmonic`).

    Args:
        source: An MDP, or an environment as gymnasium has it.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size.
        epsilon: Probability of an action drawn from all.
        temperature: Explore by softmax instead.
        policy: Follow this instead: probabilities (S, A) or actions (S,).
        initial: What Q is at first; high values make the learner try everything.
        ties: Among equally good actions take any (``random``) or the ``first``.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> found = q_learning(MDP.from_grid("cliff"), episodes=500)
        >>> round(float(found.values[36]))
        -13
    """
    learner = Learner(
        source, "q-learning", gamma=gamma, alpha=alpha, epsilon=epsilon, temperature=temperature,
        policy=policy, initial=initial, ties=ties, limit=limit, seed=seed,
        history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.control()


def double_q_learning(
    source: Any,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule = 0.5,
    epsilon: float | str | Schedule = 0.1,
    temperature: float | str | Schedule | None = None,
    policy: ArrayLike | Tensor | None = None,
    initial: float | ArrayLike | Tensor = 0.0,
    ties: str = "random",
    limit: int | None = None,
    seed: int = 0,
) -> Control:
    """Q-learning without its bias upward (van Hasselt, 2010).

    With a fair coin i in {1, 2} and j the other:
    Q_i(s, a) += alpha [r + gamma Q_j(s', argmax_a' Q_i(s', a')) - Q_i(s, a)]

    The maximum of noisy estimates is too large on average; one table chooses the action and the
    other, whose errors are independent of that choice, says what it is worth. Actions are chosen
    by the sum of both; ``q`` is their mean.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size; visits are counted for each table.
        epsilon: Probability of an action drawn from all.
        temperature: Explore by softmax of the sum instead.
        policy: Follow this instead: probabilities (S, A) or actions (S,).
        initial: What both tables are at first.
        ties: Among equally good actions take any (``random``) or the ``first``.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> found = double_q_learning(MDP.from_grid("cliff"), steps=1_000_000)
        >>> round(float(found.values[36]))
        -13
    """
    learner = Learner(
        source, "double-q-learning", gamma=gamma, alpha=alpha, epsilon=epsilon,
        temperature=temperature, policy=policy, initial=initial, ties=ties, limit=limit, seed=seed,
        history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.control()


class QLearning(TableAgent):
    """Q-learning as an agent (Watkins, 1989).

    Q(s, a) += alpha [r + gamma max_a' Q(s', a') - Q(s, a)], epsilon-greedy in Q.

    Args:
        spec: Of an environment with countable observations and discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.environments.table import spec
        >>> QLearning(spec("CliffWalking-v1")).table.shape
        torch.Size([48, 4])
    """

    method = "q-learning"


class DoubleQLearning(TableAgent):
    """Double Q-learning as an agent (van Hasselt, 2010).

    Q1(s, a) += alpha [r + gamma Q2(s', argmax_a Q1(s', a)) - Q1(s, a)], or with 1 and 2 exchanged.

    Args:
        spec: Of an environment with countable observations and discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.environments.table import spec
        >>> DoubleQLearning(spec("CliffWalking-v1")).table.shape
        torch.Size([48, 4])
    """

    method = "double-q-learning"
