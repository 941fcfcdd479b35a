"""SARSA and expected SARSA: on-policy control."""

from typing import Any, Literal

from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.core.ranges import Part
from phosphene.core.settings import setting
from phosphene.decision.tabular.learner import Control, Learner, history_of
from phosphene.decision.tabular.schedules import Schedule
from phosphene.decision.tabular.table_agent import TableAgent

__all__ = ["ExpectedSarsa", "Sarsa", "expected_sarsa", "sarsa"]


def sarsa(
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
    lambda_: float = 0.0,
    traces: str = "accumulating",
    ties: str = "random",
    limit: int | None = None,
    seed: int = 0,
) -> Control:
    """On-policy control by one-step differences (Rummery and Niranjan, 1994).

    Q(s, a) += alpha [r + gamma Q(s', a') - Q(s, a)], where a' is the action taken next.

    It learns what acting *with* its exploration is worth, so it keeps away from a cliff that an
    exploring step would fall off. ``lambda_`` above 0 is SARSA(lambda): every pair met in the
    episode shares in each difference, by a trace that fades by gamma lambda a step.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size.
        epsilon: Probability of an action drawn from all.
        temperature: Explore by softmax instead.
        policy: Follow this instead, and learn its Q: probabilities (S, A) or actions (S,).
        initial: What Q is at first; high values make the learner try everything.
        lambda_: How fast traces fade.
        traces: ``accumulating`` or ``replacing``.
        ties: Among equally good actions take any (``random``) or the ``first``.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> found = sarsa(MDP.from_grid("cliff"), episodes=500)
        >>> bool(found.returns[-100:].mean() > -40)
        True
    """
    learner = Learner(
        source, "sarsa", gamma=gamma, alpha=alpha, epsilon=epsilon, temperature=temperature,
        policy=policy, initial=initial, lambda_=lambda_, traces=traces, ties=ties, limit=limit,
        seed=seed, history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.control()


def expected_sarsa(
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
    """SARSA without the noise of the next action (John, 1994; van Seijen and others, 2009).

    Q(s, a) += alpha [r + gamma sum_a' pi(a' | s') Q(s', a') - Q(s, a)]

    pi is what is followed: the epsilon-greedy or softmax policy of Q as it is, or ``policy``.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        episodes: How many; or
        steps: how many steps; or both, and the first to be reached counts.
        gamma: Discount.
        alpha: Step size.
        epsilon: Probability of an action drawn from all.
        temperature: Explore by softmax instead.
        policy: Follow this instead, and learn its Q: probabilities (S, A) or actions (S,).
        initial: What Q is at first; high values make the learner try everything.
        ties: Among equally good actions take any (``random``) or the ``first``.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> found = expected_sarsa(MDP.from_grid("cliff"), episodes=500, alpha=1.0)
        >>> bool(found.returns[-100:].mean() > -30)
        True
    """
    learner = Learner(
        source, "expected-sarsa", gamma=gamma, alpha=alpha, epsilon=epsilon,
        temperature=temperature, policy=policy, initial=initial, ties=ties, limit=limit, seed=seed,
        history=history_of(episodes, steps),
    )  # fmt: skip
    learner.advance(steps, episodes=episodes)
    return learner.control()


class Sarsa(TableAgent):
    """SARSA and SARSA(lambda) as an agent (Rummery and Niranjan, 1994).

    Q(s, a) += alpha [r + gamma Q(s', a') - Q(s, a)] for the action a' that is taken next.

    Args:
        spec: Of an environment with countable observations and discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.environments.table import spec
        >>> Sarsa(spec("CliffWalking-v1")).table.shape
        torch.Size([48, 4])
    """

    method = "sarsa"

    lambda_: Part = setting(
        default=0.0, help="lambda, the decay of eligibility traces, 0 to 1; 0 is one-step SARSA."
    )
    traces: Literal["accumulating", "replacing"] = setting(
        default="replacing", help="``accumulating`` or ``replacing``."
    )


class ExpectedSarsa(TableAgent):
    """Expected SARSA as an agent (van Seijen and others, 2009).

    Q(s, a) += alpha [r + gamma sum_a' pi(a' | s') Q(s', a') - Q(s, a)], with pi epsilon-greedy.

    Args:
        spec: Of an environment with countable observations and discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.environments.table import spec
        >>> ExpectedSarsa(spec("CliffWalking-v1")).table.shape
        torch.Size([48, 4])
    """

    method = "expected-sarsa"
