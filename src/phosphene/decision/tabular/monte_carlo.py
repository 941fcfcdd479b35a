"""Monte Carlo: values as means of returns, from episodes that are played to their end."""

from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.core.settings import setting
from phosphene.decision.tabular.learner import Control, Learner, Prediction, history_of
from phosphene.decision.tabular.schedules import Schedule, harmonic
from phosphene.decision.tabular.table_agent import Rate, TableAgent

__all__ = ["MonteCarlo", "monte_carlo_control", "monte_carlo_prediction"]


def monte_carlo_prediction(
    source: Any,
    policy: ArrayLike | Tensor,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule | None = None,
    first_visit: bool = True,
    initial: float | ArrayLike | Tensor = 0.0,
    limit: int | None = None,
    seed: int = 0,
) -> Prediction:
    """V of a policy from whole returns (Singh and Sutton, 1996).

    V(s_t) += alpha [G_t - V(s_t)],  G_t = r_t + gamma r_{t+1} + ... to the end of the episode.

    By default alpha is 1 / n at the nth return of a state, and V its mean. The mean of the first
    visits of episodes is unbiased; that of every visit is biased, since the returns of one episode
    depend on each other, and consistent. An episode cut off by a limit ends with the value of the
    state that it reached, as it is then.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        policy: What is followed: probabilities (S, A) or actions (S,).
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size; None for means.
        first_visit: Learn from the first visit of a state in an episode only.
        initial: What V is at first, a number or (S,); means forget it.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> walk = MDP.from_grid("G..S..G", step=-1, goal=-1)
        >>> policy = [[0.5, 0.0, 0.5, 0.0]] * 7
        >>> found = monte_carlo_prediction(walk, policy, episodes=10_000)
        >>> bool(abs(found.values[3] + 9) < 0.5)
        True
    """
    learner = Learner(
        source, "monte-carlo-prediction", policy=policy, gamma=gamma,
        alpha=harmonic() if alpha is None else alpha, first_visit=first_visit, initial=initial,
        limit=limit, seed=seed, history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.prediction()


def monte_carlo_control(
    source: Any,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule | None = None,
    epsilon: float | str | Schedule = 0.1,
    temperature: float | str | Schedule | None = None,
    policy: ArrayLike | Tensor | None = None,
    first_visit: bool = True,
    initial: float | ArrayLike | Tensor = 0.0,
    ties: str = "random",
    limit: int | None = None,
    seed: int = 0,
) -> Control:
    """On-policy control from whole returns (Sutton and Barto, 2018, section 5.4).

    Q(s_t, a_t) += alpha [G_t - Q(s_t, a_t)] after each episode; actions are epsilon-greedy in Q.

    Set ``limit`` where an episode might not end: a greedy action that leads in a circle is
    corrected only by an episode that is over.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size; None for means of all returns so far.
        epsilon: Probability of an action drawn from all.
        temperature: Explore by softmax instead.
        policy: Follow this instead, and learn its Q: probabilities (S, A) or actions (S,).
        first_visit: Learn from the first visit of a pair in an episode only.
        initial: What Q is at first.
        ties: Among equally good actions take any (``random``) or the ``first``.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> lake = MDP.from_grid("frozen-lake-4x4", slip=0.0)
        >>> found = monte_carlo_control(lake, episodes=3000, epsilon=0.3, gamma=0.9)
        >>> bool(found.values[0] > 0.3)
        True
    """
    learner = Learner(
        source, "monte-carlo", gamma=gamma, alpha=harmonic() if alpha is None else alpha,
        epsilon=epsilon, temperature=temperature, policy=policy, first_visit=first_visit,
        initial=initial, ties=ties, limit=limit, seed=seed, history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.control()


class MonteCarlo(TableAgent):
    """Monte Carlo control as an agent (Sutton and Barto, 2018, section 5.4).

    Q(s_t, a_t) += alpha [G_t - Q(s_t, a_t)] after each episode, epsilon-greedy in Q.

    Args:
        spec: Of an environment with countable observations and discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.environments.table import spec
        >>> MonteCarlo(spec("CliffWalking-v1")).table.shape
        torch.Size([48, 4])
    """

    method = "monte-carlo"

    first_visit: bool = setting(
        default=True, help="Learn from the first visit of a pair in an episode only."
    )
    limit: int = setting(
        default=1000,
        help="Steps after which an episode is cut off; without a limit one may never end.",
    )
    alpha: Rate = setting(
        default=0.05, help="Step size in (0, 1], or a schedule such as ``harmonic:1:0.8visits``."
    )
