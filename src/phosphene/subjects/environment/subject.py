"""Trainings of agents: planned, fed with experience, judged by episodes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from phosphene.catalog.recipe import Recipe
from phosphene.core.agent import Agent, Experience
from phosphene.core.config import decode
from phosphene.core.environment import Environment, called, env_is_own
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.model import Model
from phosphene.core.rng import generator, mix
from phosphene.decision.environments.table import make, spec
from phosphene.decision.playing import play
from phosphene.evaluate.subject import env_of
from phosphene.subjects.dataset.planning import (
    Plan,
    about,
    initialize,
    new_folder,
    sort_overrides,
)
from phosphene.subjects.dataset.resuming import described, has_checkpoint, recorded
from phosphene.subjects.environment.choosing import select_for
from phosphene.train.building import build
from phosphene.train.folder import Run
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.source import check_shares, share
from phosphene.train.validation import Within

__all__ = ["Episodes", "Practice", "plan_agent", "resume_agent"]

MOST, _LEAST = 10, 3  # episodes of a judgement
_AHEAD = 3.0  # how much longer greedy episodes may be than those that explore
_JUDGED, _EVALUATED = 101, 102  # streams of seeds: episodes met in training are no others' episodes


def plan_agent(
    system: str,
    *,
    env: Any,
    budget: str | None,
    seed: int,
    name: str | None,
    recipe: str | Recipe,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
    precision: str | None,
    compile: bool,
    init_from: str | Path | None,
    overrides: Mapping[str, Any],
) -> Plan:
    """Resolve constructor defaults < recipe < what the caller says; see ``train``."""
    model, train = sort_overrides(system, dict(model), dict(train), overrides)
    named = None if env is None else called(env)
    chosen = recipe if isinstance(recipe, Recipe) else select_for(system, named, recipe)
    env = chosen.env if env is None else env
    about_env = spec(env)
    settings = TrainSettings(**{"log_every": 1, **chosen.train, **_without_batch(train)})
    spent = Budget.parse(chosen.budget if budget is None else budget)
    if spent.epochs is not None:
        raise ConfigError("an agent has no epochs; allowed: seconds, such as 60s, or 50000steps")
    if precision == "auto":
        raise UnknownNameError("precision of an agent", precision, ("fp32", "bf16"))
    built = build(system, cast(Any, about_env), seed=seed, **{**chosen.model, **model})
    if init_from is not None:
        initialize(built, Path(init_from))
    where = new_folder(folder, name, system, chosen.env)
    record = about(system, chosen, built, settings, spent, seed, precision or "fp32", compile)
    record |= {
        "env": chosen.env,
        "own_env": env_is_own(env),
        "init_from": None if init_from is None else str(init_from),
    }
    return Plan(built, None, settings, spent, where, record, env=env, unnamed=name is None)


def _without_batch(train: Mapping[str, Any]) -> Mapping[str, Any]:
    if "batch_size" in train:
        raise ConfigError("an agent's batch is a setting of its own: --model.batch-size")
    return train


def resume_agent(
    system: str,
    *,
    env: Any,
    budget: str | None,
    name: str | None,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
    overrides: Mapping[str, Any],
    trust: bool = False,
) -> Plan:
    """Go on as recorded; only the budget may be another."""
    model, train = sort_overrides(system, dict(model), dict(train), overrides)
    run, record = recorded(system, name, folder, model, train)
    if env is not None and called(env) != record["env"]:
        raise RunError(
            f"{str(run.path)!r} was trained in {record['env']!r}, not in {called(env)!r}"
        )
    env = env_of(Run(run.path, env=env, trust=trust))
    spent = Budget.parse(record["budget"] if budget is None else budget)
    record["budget"] = str(spent)
    settings = decode(record["train"])
    begun = not has_checkpoint(run)
    return Plan(
        described(run), None, settings, spent, run.path, record, resume=not begun, begun=begun,
        env=env,
    )  # fmt: skip


class Practice:
    """An agent among its environments: the source of its batches.

    Args:
        plan: Of the training.
        runtime: This process; it holds its share of the environments.
        workers: Processes that step environments which are no native ones.
    """

    def __init__(self, plan: Plan, runtime: Runtime, workers: int | None = None) -> None:
        agent = cast(Agent, plan.model)
        first, last = 0, agent.environments
        if agent.shared:
            first, last = share(agent.environments, runtime.rank, runtime.world)
        if last == first:
            raise ConfigError(
                f"{runtime.world} processes cannot share {agent.environments} environments; "
                "raise --model.environments"
            )
        seed = plan.record["seed"]
        self.longest = plan.settings.longest_episode
        self.environment: Environment = make(
            plan.env, last - first, seed=seed, first=first, workers=workers
        )
        self.experience: Experience = agent.experience(self.environment, seed, runtime)
        if agent.shared:
            pieces = plan.settings.accumulate
            check_shares(self.experience.batch_size, pieces, runtime.world)
        plan.settings = replace(plan.settings, batch_size=self.experience.batch_size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the environments."""
        name, found = self.environment.spec.name, []
        if not self.environment.exact:
            found.append(
                f"{name} cannot save its state: a resumed run goes on at the beginning of an "
                "episode"
            )
        if self.environment.spec.limit is None:
            found.append(
                f"{name} sets its episodes no limit: validations and scores cut them off after "
                f"{self.longest:,} steps (--train.longest-episode)"
            )
        return tuple(found)


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

    def __call__(
        self, model: Model, runtime: Runtime | None, within: Within | None = None
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
