"""Episodes played to their end: returns, lengths, and pictures on the way."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.agent import Agent
from phosphene.core.environment import Environment, Step

__all__ = ["Played", "play"]

_LONGEST = 10_000  # steps of an episode in an environment without a limit: a loop never ends


@dataclass(frozen=True)
class Played:
    """Whole episodes.

    Args:
        returns: Sum of rewards of each (n,), not discounted.
        lengths: Steps of each (n,), int64.
        terminated: Whether each ended in a terminal state (n,), rather than at the limit.
    """

    returns: Tensor
    lengths: Tensor
    terminated: Tensor


@torch.no_grad()
def play(
    agent: Agent,
    environment: Environment,
    episodes: int,
    *,
    greedy: bool = True,
    generator: torch.Generator | None = None,
    watch: Callable[[Tensor, Step], None] | None = None,
    longest: int = _LONGEST,
) -> Played:
    """Play so many episodes, the same number in each environment.

    Each environment plays ceil(episodes / n) of them from its first on, and the first ``episodes``
    in the order of environments count: to stop when enough have ended would prefer short ones.

    Args:
        agent: It acts; it is not changed.
        environment: Its episodes begin anew.
        episodes: How many.
        greedy: As the agent would act to do its best.
        generator: Source of what is random in its actions.
        watch: Called after each step with the actions and what they led to.
        longest: Episodes are cut off here, for an agent that goes round in circles.

    Example:
        >>> import phosphene as ph
        >>> environment = ph.decision.make("CartPole-v1", 2)
        >>> agent = ph.build("ppo", environment.spec)
        >>> play(agent, environment, 3).returns.shape
        torch.Size([3])
    """
    n = environment.n
    each = -(-episodes // n)
    observation = environment.reset()
    reward_sum, clock = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)
    done = torch.zeros(n, dtype=torch.int64)
    returns = torch.zeros(each, n, dtype=torch.float64)
    lengths = torch.zeros(each, n, dtype=torch.int64)
    terminated = torch.zeros(each, n, dtype=torch.bool)
    training = agent.training
    agent.eval()
    while bool((done < each).any()):
        action = agent.act(observation.to(agent.device), greedy=greedy, generator=generator).cpu()
        step = environment.step(action)
        if watch is not None:
            watch(action, step)
        reward_sum += step.reward
        clock += 1
        ended = step.done | (clock >= longest)
        if bool(ended.any()):
            for i in ended.nonzero().flatten().tolist():
                if done[i] < each:
                    k = int(done[i])
                    returns[k, i], lengths[k, i] = reward_sum[i], clock[i]
                    terminated[k, i] = step.terminated[i]
                    done[i] += 1
            reward_sum[ended], clock[ended] = 0.0, 0
        observation = step.observation
    agent.train(training)
    order = (returns.T.flatten(), lengths.T.flatten(), terminated.T.flatten())
    return Played(*(column[:episodes] for column in order))
