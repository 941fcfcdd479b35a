"""An environment, opened for the training of an agent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from phosphene.catalog.recipe import Recipe
from phosphene.core.agent import Agent, Experience
from phosphene.core.environment import Environment, EnvSpec, called, env_is_own
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.subject import Source
from phosphene.decision.environments.table import make, spec
from phosphene.subjects.environment.choosing import select_for
from phosphene.subjects.environment.judge import Episodes
from phosphene.subjects.environment.opening import env_of
from phosphene.subjects.plan import Plan, Request, Subject
from phosphene.train.folder import Run
from phosphene.train.probe import available_cores
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.shares import check_shares, share

__all__ = ["EnvironmentSubject", "open_environment", "reopen_environment"]


class EnvironmentSubject(Subject):
    """Where an agent learns.

    Args:
        env: The environment's name, or what the caller handed over.
        spec: What the agent sees and what it may do.
        recipe: Whose settings hold.
        workers: Processes that step environments of other packages; None for none.
    """

    def __init__(self, env: Any, spec: EnvSpec, recipe: Recipe, workers: int | None = None) -> None:
        self.env, self.spec, self.recipe, self.workers = env, spec, recipe, workers
        self.name = called(env)
        self.given = env if env_is_own(env) else None
        self.environment: Environment | None = None
        self._judge: Episodes | None = None

    def settle(
        self, settings: TrainSettings, budget: Budget, asked: Mapping[str, Any]
    ) -> TrainSettings:
        """Each cycle is logged; an agent's batch is its own, and it has no epochs."""
        if "batch_size" in asked:
            raise ConfigError("an agent's batch is a setting of its own: --model.batch-size")
        if budget.epochs is not None:
            raise ConfigError(
                "an agent has no epochs; allowed: seconds, such as 60s, or 50000steps"
            )
        if asked["precision"] == "auto":
            raise UnknownNameError("precision of an agent", "auto", ("fp32", "bf16"))
        if "log_every" not in {**self.recipe.train, **asked}:
            settings = replace(settings, log_every=1)
        return settings

    def record(self) -> dict[str, Any]:
        """The name of the environment, and whether only its maker has it."""
        return {"kind": "environment", "env": self.name, "own_env": env_is_own(self.env)}

    def source(self, plan: Plan, runtime: Runtime) -> Source:
        """This rank's share of the environments, and the agent among them."""
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
        self.environment = make(
            self.env, last - first, seed=seed, first=first, workers=self.workers
        )
        self.notes = _notes(self.environment, plan.settings.longest_episode)
        experience: Experience = agent.experience(self.environment, seed, runtime)
        if agent.shared:
            check_shares(experience.batch_size, plan.settings.accumulate, runtime.world)
        return experience

    def judge(self, plan: Plan, runtime: Runtime) -> Episodes:
        """Greedy episodes that training does not meet."""
        self._judge = Episodes.planned(self.env, plan.record["seed"], plan.settings, plan.budget)
        return self._judge

    def threads(self, plan: Plan, source: Any) -> int:
        """One: an agent's networks are small, unless it sees large images."""
        event = self.spec.observation
        return available_cores() if event.has_image_shape and min(event.shape[1:]) >= 36 else 1

    def close(self) -> None:
        """Close the environments."""
        if self._judge is not None:
            self._judge.close()
        if self.environment is not None:
            self.environment.close()


def _notes(environment: Environment, longest: int) -> tuple[str, ...]:
    """What the user should know of the environments."""
    name, found = environment.spec.name, []
    if not environment.exact:
        found.append(
            f"{name} cannot save its state: a resumed run goes on at the beginning of an episode"
        )
    if environment.spec.limit is None:
        found.append(
            f"{name} sets its episodes no limit: validations and scores cut them off after "
            f"{longest:,} steps (--train.longest-episode)"
        )
    return tuple(found)


def open_environment(ask: Request) -> EnvironmentSubject:
    """The environment of a training that begins; see ``train``."""
    env = ask.options.get("env")
    named = None if env is None else called(env)
    if isinstance(ask.recipe, Recipe):
        chosen = ask.recipe
    elif ask.made is not None:  # an agent of somebody's own has no recipe
        if named is None:
            raise ConfigError(f"a {ask.system} of your own needs an environment: env=")
        chosen = Recipe(name="default", system=ask.system, on=named, budget="60s")
    else:
        chosen = select_for(ask.system, named, ask.recipe)
    env = chosen.on if env is None else env
    return EnvironmentSubject(env, spec(env), chosen, ask.options.get("workers"))


def reopen_environment(ask: Request, run: Run, record: dict[str, Any]) -> EnvironmentSubject:
    """The environment of a training that goes on, which is that in which it began."""
    env = ask.options.get("env")
    if env is not None and called(env) != record["env"]:
        raise RunError(
            f"{str(run.path)!r} was trained in {record['env']!r}, not in {called(env)!r}"
        )
    env = env_of(Run(run.path, env=env, trust=ask.trust))
    began = Recipe(name=record["recipe"], system=record["system"], budget=record["budget"])
    return EnvironmentSubject(env, spec(env), began, ask.options.get("workers"))
