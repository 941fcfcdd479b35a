"""What can be done with data sets and the models that learn from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from phosphene.catalog.recipe import Recipe
from phosphene.evaluate.score import Score
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.dataset.kind import KIND
from phosphene.subjects.handling import Handling
from phosphene.subjects.results import Comparison, Evaluation, Sampled

if TYPE_CHECKING:
    from phosphene.subjects.plan import Request
    from phosphene.train.folder import Run

__all__ = ["Datasets"]


class Datasets(Handling):
    """Models of data are trained, scored, reported and compared on splits."""

    kind = KIND
    methods: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "sample": ("sample", "refine", "inpaint", "interpolate")
    }

    def recipe(self, system: str, address: str | None, name: str) -> Recipe:
        """The recipe for those data, or for the nearest of their kind."""
        return select(system, address, name)

    def open(self, ask: "Request") -> Any:
        """The splits of a training that begins."""
        from phosphene.subjects.dataset.subject import open_dataset

        return open_dataset(ask)

    def reopen(self, ask: "Request", run: "Run", record: dict[str, Any]) -> Any:
        """The splits of a training that goes on."""
        from phosphene.subjects.dataset.subject import reopen_dataset

        return reopen_dataset(ask, run, record)

    def called(self, value: Any) -> str:
        """A name, or that of a Dataset."""
        return value if isinstance(value, str) else str(value.name)

    def evaluate(self, run: "Run", *, seed: int, progress: Any, **options: Any) -> Evaluation:
        """Likelihoods, reconstructions, codes and samples, as far as the model has them."""
        from phosphene.subjects.dataset.evaluating import evaluate_on_data

        return evaluate_on_data(run, seed=seed, progress=progress, **options)

    def report(self, run: "Run", scores: Mapping[str, Score], *, seed: int) -> Path:
        """Scores, curves, samples, codes."""
        from phosphene.subjects.dataset.report import write_report

        return write_report(run, scores, seed=seed)

    def sample(
        self, run: "Run", *, seed: int, out: Any, sampler: Mapping[str, Any], **options: Any
    ) -> Sampled:
        """Pictures, texts, sounds, tables or arrays."""
        from phosphene.subjects.dataset.sampling import draw_and_write

        return draw_and_write(run, seed=seed, out=out, sampler=sampler, **options)

    def check_comparison(self, systems: Sequence[str], recipe: str, **options: Any) -> Any:
        """Builds each model for the data; the test split."""
        from phosphene.subjects.dataset.comparison import check

        return check(systems, options["data"], recipe)

    def compare(
        self,
        where: Path,
        systems: Sequence[str],
        runs: Sequence[Sequence["Run"]],
        scores: Sequence[Sequence[Mapping[str, Score]]],
        about: Mapping[str, Any],
        checked: Any,
    ) -> Comparison:
        """Ranked within a kind of score."""
        from phosphene.subjects.dataset.comparison import compare_models

        return compare_models(where, systems, runs, scores, about, checked)
