"""Validation of an agent on episodes that are not part of its training."""

from typing import Any, cast

from phosphene.core.agent import Agent
from phosphene.core.environment import Environment
from phosphene.core.rng import generator, mix
from phosphene.core.subject import Within
from phosphene.decision.environments.table import make, spec
from phosphene.decision.playing import play
from phosphene.train.settings import Budget, TrainSettings

__all__ = ["Episodes", "evaluation_seed"]

MOST, _LEAST = 10, 3  # episodes of a judgement
_AHEAD = 3.0  # how much longer greedy episodes may be than those that explore
_JUDGED, _EVALUATED = 101, 102  # streams of seeds: episodes met in training are no others' episodes


class Episodes:
    """Judges an agent by the mean return of greedy episodes that training does not meet.

    Each is played in an environment of its own, from the same start each time.

    Args:
        env: The environment, or its name.
        seed: Of the run.
        episodes: How many.
        longest: Steps after which an episode is cut off that nothing else limits.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("ppo", ph.decision.make("CartPole-v1").spec)
        >>> scores = Episodes("CartPole-v1", seed=0, episodes=2)(agent, None)
        >>> scores["loss"] == -scores["return"]
        True
    """

    n = None

    def __init__(self, env: Any, seed: int, episodes: int = MOST, longest: int = 1000) -> None:
        self.env, self.seed, self.episodes, self.longest = env, seed, episodes, longest
        self.steps = 0
        self._environment: Environment | None = None

    @classmethod
    def planned(cls, env: Any, seed: int, settings: TrainSettings, budget: Budget) -> "Episodes":
        """As many as were asked for; else 10, or fewer where the share of the budget is small.

        At least three: their mean then still tells good from bad. Four judgements of them, each as
        long as can be, are to fit into the share.
        """
        episodes, longest = settings.validation_episodes, settings.longest_episode
        if episodes is None:
            episodes = MOST
            if budget.steps is not None and settings.validation_share is not None:
                limit = spec(env).limit or longest
                fit = int(settings.validation_share * budget.steps / (4 * limit))
                episodes = min(MOST, max(_LEAST, fit))
        return cls(env, seed, episodes, longest)

    def expected(self, length: float | None) -> float:
        """Environment steps of a judgement: all wait for the longest of the episodes."""
        if self._environment is None:
            self._begin()
        assert self._environment is not None
        most = float(self._environment.spec.limit or self.longest)
        return self.episodes * (most if length is None else min(most, _AHEAD * length))

    def fit(self, model: Any, runtime: Any, seconds: float) -> float:
        """Nothing to lower: whole episodes are played."""
        return 0.0

    def __call__(
        self, model: Any, runtime: Any, within: Within | None = None
    ) -> dict[str, float] | None:
        """The mean return and length; the same episodes each time."""
        agent = cast(Agent, model)
        if self._environment is None:
            self._begin()
        assert self._environment is not None
        self._environment.load_state_dict(self._start)
        found = play(
            agent, self._environment, self.episodes, generator=generator(self.seed), within=within
        )
        self.steps = found.steps
        if not found.complete:
            return None
        value = float(found.returns.mean())
        return {"loss": -value, "return": value, "length": float(found.lengths.double().mean())}

    def close(self) -> None:
        """Close the environments."""
        if self._environment is not None:
            self._environment.close()

    def _begin(self) -> None:
        self._environment = make(
            self.env, self.episodes, seed=mix(self.seed, _JUDGED), longest=self.longest
        )
        self._start = self._environment.state_dict()


def evaluation_seed(seed: int) -> int:
    """The seed of the episodes that scores are taken from."""
    return mix(seed, _EVALUATED)
