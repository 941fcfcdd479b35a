"""Trainings of agents: planned, fed with experience, judged by episodes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from phosphene.core.agent import Agent, Experience
from phosphene.core.config import decode
from phosphene.core.environment import Environment
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.model import Model
from phosphene.core.rng import generator, mix
from phosphene.decision.environments.table import located, make, spec
from phosphene.decision.playing import play
from phosphene.evaluate.subject import check_trusted
from phosphene.recipes.planning import (
    Plan,
    about,
    initialize,
    new_folder,
    sort_overrides,
)
from phosphene.recipes.recipe import Recipe, select_for
from phosphene.recipes.resuming import described, has_checkpoint, recorded
from phosphene.train.building import build
from phosphene.train.folder import Run
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.source import check_shares, share

__all__ = ["Episodes", "Practice", "plan_agent", "resume_agent"]

_JUDGED, _EVALUATED = 101, 102  # streams of seeds: episodes met in training are no others' episodes


def plan_agent(
    system: str,
    *,
    env: str | None,
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
    chosen = recipe if isinstance(recipe, Recipe) else select_for(system, env, recipe)
    about_env = spec(chosen.env)
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
    record |= {"env": chosen.env, "init_from": None if init_from is None else str(init_from)}
    return Plan(built, None, settings, spent, where, record, unnamed=name is None)


def _without_batch(train: Mapping[str, Any]) -> Mapping[str, Any]:
    if "batch_size" in train:
        raise ConfigError("an agent's batch is a setting of its own: --model.batch-size")
    return train


def resume_agent(
    system: str,
    *,
    env: str | None,
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
    if env is not None and env != record["env"]:
        raise RunError(f"{str(run.path)!r} was trained in {record['env']!r}, not in {env!r}")
    check_trusted(Run(run.path, env=env, trust=trust))
    spent = Budget.parse(record["budget"] if budget is None else budget)
    record["budget"] = str(spent)
    settings = decode(record["train"])
    begun = not has_checkpoint(run)
    return Plan(
        described(run), None, settings, spent, run.path, record, resume=not begun, begun=begun
    )


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
        self.environment: Environment = make(
            located(plan.record["env"], plan.record.get("directory")),
            last - first,
            seed=seed,
            first=first,
            workers=workers,
        )
        self.experience: Experience = agent.experience(self.environment, seed, runtime)
        if agent.shared:
            pieces = plan.settings.accumulate
            check_shares(self.experience.batch_size, pieces, runtime.world)
        plan.settings = replace(plan.settings, batch_size=self.experience.batch_size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the environments."""
        if self.environment.exact:
            return ()
        return (
            f"{self.environment.spec.name} cannot save its state: a resumed run goes on at the "
            "beginning of an episode",
        )


class Episodes:
    """Judges an agent by the mean return of greedy episodes that training does not meet.

    Args:
        env: The environment's name.
        seed: Of the run.
        episodes: How many; None for 50, or 10 where the environment is no native one.

    Example:
        >>> import phosphene as ph
        >>> agent = ph.build("ppo", ph.decision.make("CartPole-v1").spec)
        >>> scores = Episodes("CartPole-v1", seed=0, episodes=2)(agent, None)
        >>> scores["loss"] == -scores["return"]
        True
    """

    def __init__(self, env: str, seed: int, episodes: int | None = None) -> None:
        if episodes is None:
            probe = make(env, 1)
            episodes = 50 if probe.exact else 10
            probe.close()
        self.env, self.seed, self.episodes = env, seed, episodes
        self._environment: Environment | None = None

    @torch.no_grad()
    def __call__(self, model: Model, runtime: Runtime | None) -> dict[str, float]:
        """The mean return and length; the same episodes each time."""
        agent = cast(Agent, model)
        if self._environment is None:
            self._environment = make(self.env, self.episodes, seed=mix(self.seed, _JUDGED))
            self._start = self._environment.state_dict()
        else:
            self._environment.load_state_dict(self._start)
        found = play(agent, self._environment, self.episodes, generator=generator(self.seed))
        value = float(found.returns.mean())
        return {"loss": -value, "return": value, "length": float(found.lengths.double().mean())}


def evaluation_seed(seed: int) -> int:
    """The seed of the episodes that scores are taken from."""
    return mix(seed, _EVALUATED)
