"""What can be done with environments and the agents that learn in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phosphene.catalog.recipe import Recipe
from phosphene.core.environment import called
from phosphene.core.errors import RunError
from phosphene.evaluate.score import Score
from phosphene.subjects.environment.choosing import select_for
from phosphene.subjects.environment.kind import KIND
from phosphene.subjects.handling import Handling
from phosphene.subjects.results import Comparison, Evaluation, Sampled

if TYPE_CHECKING:
    from phosphene.subjects.plan import Request
    from phosphene.train.folder import Run

__all__ = ["Environments"]


class Environments(Handling):
    """Agents are trained, scored, reported and compared in environments."""

    kind = KIND

    def recipe(self, system: str, address: str | None, name: str) -> Recipe:
        """The recipe for that environment, or for any other."""
        return select_for(system, address, name)

    def open(self, ask: "Request") -> Any:
        """The environment of a training that begins."""
        from phosphene.subjects.environment.subject import open_environment

        return open_environment(ask)

    def reopen(self, ask: "Request", run: "Run", record: dict[str, Any]) -> Any:
        """The environment of a training that goes on."""
        from phosphene.subjects.environment.subject import reopen_environment

        return reopen_environment(ask, run, record)

    def called(self, value: Any) -> str:
        """The name of an environment that was handed over."""
        return called(value)

    def evaluate(self, run: "Run", *, seed: int, progress: Any, **options: Any) -> Evaluation:
        """Whole episodes, beside those of random actions."""
        from phosphene.subjects.environment.evaluating import evaluate_in_environment

        episodes = options["episodes"]
        return evaluate_in_environment(
            run,
            episodes=100 if episodes is None else episodes,
            greedy=not options["sampled"],
            seed=seed,
            progress=progress,
        )

    def report(self, run: "Run", scores: Mapping[str, Score], *, seed: int) -> Path:
        """An episode to watch, how it learned, what it values."""
        from phosphene.subjects.environment.report import report_with_film

        return report_with_film(run, scores, seed=seed)

    def sample(
        self, run: "Run", *, seed: int, out: Any, sampler: Mapping[str, Any], **options: Any
    ) -> Sampled:
        """An agent draws no samples."""
        raise RunError(
            f"{str(run.path)!r} is the run of an agent, which draws no samples; "
            f"'phosphene play {run.path}' shows it at work"
        )

    def check_comparison(self, systems: Sequence[str], recipe: str, **options: Any) -> Any:
        """Builds each agent for the environment."""
        from phosphene.subjects.environment.comparison import check

        return check(systems, options["env"], recipe)

    def compare(
        self,
        where: Path,
        systems: Sequence[str],
        runs: Sequence[Sequence["Run"]],
        scores: Sequence[Sequence[Mapping[str, Score]]],
        about: Mapping[str, Any],
        checked: Any,
    ) -> Comparison:
        """Ranked by the interquartile mean over seeds."""
        from phosphene.subjects.environment.comparison import compare_agents

        return compare_agents(where, systems, runs, scores, about)
