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
        steps: Environment steps that were taken, with those of environments that had to wait for
            others.
        complete: Whether all episodes that were asked for are here.
    """

    returns: Tensor
    lengths: Tensor
    terminated: Tensor
    steps: int = 0
    complete: bool = True


@torch.no_grad()
def play(
    agent: Agent,
    environment: Environment,
    episodes: int,
    *,
    greedy: bool = True,
    generator: torch.Generator | None = None,
    begun: Callable[[], None] | None = None,
    watch: Callable[[Tensor, Step], None] | None = None,
    longest: int = _LONGEST,
    within: Callable[[int], bool] | None = None,
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
        begun: Called once, when the first episodes have begun.
        watch: Called after each step with the actions and what they led to.
        longest: Episodes are cut off here, for an agent that goes round in circles; the next one
            begins anew.
        within: Told before each step how many environment steps there would be with it; where it
            says no, the play ends with the episodes that are over, and is not complete.

    Example:
        >>> import phosphene as ph
        >>> environment = ph.decision.make("CartPole-v1", 2)
        >>> agent = ph.build("ppo", environment.spec)
        >>> play(agent, environment, 3).returns.shape
        torch.Size([3])
    """
    n, steps = environment.n, 0
    each = -(-episodes // n)
    observation = environment.reset()
    if begun is not None:
        begun()
    reward_sum, clock = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)
    done = torch.zeros(n, dtype=torch.int64)
    returns = torch.zeros(each, n, dtype=torch.float64)
    lengths = torch.zeros(each, n, dtype=torch.int64)
    terminated = torch.zeros(each, n, dtype=torch.bool)
    training = agent.training
    agent.eval()
    while bool((done < each).any()):
        if within is not None and not within(steps + n):
            break
        action = agent.act(observation.to(agent.device), greedy=greedy, generator=generator).cpu()
        step, steps = environment.step(action), steps + n
        reward_sum += step.reward
        clock += 1
        cut = (clock >= longest) & ~step.done
        if bool(cut.any()):
            anew = environment.restart(cut)
            step = Step(anew, step.reward, step.terminated, step.truncated | cut, step.next)
        if watch is not None:
            watch(action, step)
        ended = step.done
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
    over = (torch.arange(each)[:, None] < done).T.flatten()[:episodes]
    totals, clocks, ends = (
        column.T.flatten()[:episodes][over] for column in (returns, lengths, terminated)
    )
    return Played(totals, clocks, ends, steps, bool(over.all()))
