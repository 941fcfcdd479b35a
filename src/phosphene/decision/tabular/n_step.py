"""n-step methods: n rewards, then the estimated value of the state reached."""

from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.decision.tabular.learner import Control, Learner, Prediction, history_of
from phosphene.decision.tabular.schedules import Schedule
from phosphene.decision.tabular.table_agent import Rate, TableAgent

__all__ = ["NStepSarsa", "n_step_sarsa", "n_step_td"]


def n_step_td(
    source: Any,
    policy: ArrayLike | Tensor,
    *,
    n: int = 4,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule = 0.1,
    initial: float | ArrayLike | Tensor = 0.0,
    limit: int | None = None,
    seed: int = 0,
) -> Prediction:
    """V of a policy from n rewards and the value beyond them (Watkins, 1989; Sutton, 1988).

    G = r_t + gamma r_{t+1} + ... + gamma^{n-1} r_{t+n-1} + gamma^n V(s_{t+n}),
    V(s_t) += alpha [G - V(s_t)]

    n = 1 is TD(0); an n beyond the longest episode is every-visit Monte Carlo, whose changes are
    made in the order of time.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        policy: What is followed: probabilities (S, A) or actions (S,).
        n: How many rewards.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size.
        initial: What V is at first, a number or (S,).
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> walk = MDP.from_grid("G..S..G", step=-1, goal=-1)
        >>> policy = [[0.5, 0.0, 0.5, 0.0]] * 7
        >>> found = n_step_td(walk, policy, n=3, alpha=0.02, episodes=2000, initial=-5)
        >>> bool(abs(found.values[3] + 9) < 1)
        True
    """
    learner = Learner(
        source, "n-step-td", n=n, policy=policy, gamma=gamma, alpha=alpha, initial=initial,
        limit=limit, seed=seed, history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.prediction()


def n_step_sarsa(
    source: Any,
    *,
    n: int = 4,
    episodes: int | None = None,
    steps: int | None = None,
    gamma: float = 1.0,
    alpha: float | str | Schedule = 0.2,
    epsilon: float | str | Schedule = 0.1,
    temperature: float | str | Schedule | None = None,
    policy: ArrayLike | Tensor | None = None,
    initial: float | ArrayLike | Tensor = 0.0,
    ties: str = "random",
    limit: int | None = None,
    seed: int = 0,
) -> Control:
    """On-policy control from n rewards and the value of the pair beyond them.

    G = r_t + ... + gamma^{n-1} r_{t+n-1} + gamma^n Q(s_{t+n}, a_{t+n}),
    Q(s_t, a_t) += alpha [G - Q(s_t, a_t)]  (Sutton and Barto, 2018, section 7.2)

    Args:
        source: An MDP, or an environment as gymnasium has it.
        n: How many rewards; 1 is SARSA.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size.
        epsilon: Probability of an action drawn from all.
        temperature: Explore by softmax instead.
        policy: Follow this instead, and learn its Q: probabilities (S, A) or actions (S,).
        initial: What Q is at first.
        ties: Among equally good actions take any (``random``) or the ``first``.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> found = n_step_sarsa(MDP.from_grid("cliff"), n=4, episodes=500)
        >>> bool(found.returns[-100:].mean() > -60)
        True
    """
    learner = Learner(
        source, "n-step-sarsa", n=n, gamma=gamma, alpha=alpha, epsilon=epsilon,
        temperature=temperature, policy=policy, initial=initial, ties=ties, limit=limit, seed=seed,
        history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.control()


class NStepSarsa(TableAgent):
    """n-step SARSA as an agent (Sutton and Barto, 2018, section 7.2).

    Q(s_t, a_t) moves to r_t + ... + gamma^(n-1) r_(t+n-1) + gamma^n Q(s_(t+n), a_(t+n)).

    Args:
        spec: Of an environment with countable observations and discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.environments.table import spec
        >>> NStepSarsa(spec("CliffWalking-v1")).table.shape
        torch.Size([48, 4])
    """

    method = "n-step-sarsa"

    n: Count = setting(default=4, help="How many rewards; 1 is SARSA.")
    alpha: Rate = setting(
        default=0.2, help="Step size in (0, 1], or a schedule such as ``harmonic:1:0.8visits``."
    )
