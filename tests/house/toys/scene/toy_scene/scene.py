"""Scenes: three pictures of 8 x 8, each with the pose that it was seen from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phosphene.catalog.recipe import Recipe
from phosphene.core.batch import Batch
from phosphene.core.config import tagged
from phosphene.core.errors import UnknownNameError
from phosphene.core.phase import Loss
from phosphene.core.settings import setting
from phosphene.core.subject import Source
from phosphene.core.trainable import Trainable
from phosphene.evaluate import page
from phosphene.evaluate.metric import Metric, declare
from phosphene.evaluate.score import mean_score
from phosphene.subjects.handling import Handling
from phosphene.subjects.plan import Subject
from phosphene.subjects.results import Evaluation, Sampled
from toy_scene.kind import KIND

declare(
    Metric("view_error", "Error of a view", unit="levels", about="Of pixels.", better="lower",
           card=0, column=0, ranks=0)
)  # fmt: skip


@tagged
@dataclass(frozen=True)
class SceneSpec:
    """How many pictures there are, and their side."""

    views: int = 3
    side: int = 8


class Field(Trainable):
    """Renders pictures (n, side, side) of poses (n,)."""

    learns_from = "scene"
    specified_by = SceneSpec
    spec: SceneSpec = setting(kw_only=False, help="The scene's pictures.")
    start: float = setting(default=0.0, help="What all numbers begin with.")

    def setup(self) -> None:
        self.light = nn.Parameter(torch.tensor(self.start))
        self.slope = nn.Parameter(torch.tensor(self.start))

    def loss(self, batch: Batch) -> Loss:
        jitter = 0.01 * batch.normal(())
        error = (self.render(batch.index) + jitter[:, None, None] - batch.x).square()
        return Loss(error.mean())


class Ramp(Field):
    """light + slope (column + pose): two parameters, which are enough."""

    def render(self, pose: Tensor) -> Tensor:
        columns = torch.arange(self.spec.side) / self.spec.side
        return (
            (self.light + self.slope * (columns + pose[:, None]))
            .unsqueeze(1)
            .expand(-1, self.spec.side, -1)
        )

    def sample(self, n: int, *, exposure: float = 1.0) -> Tensor:
        return exposure * self.render(torch.arange(n))


class Flat(Field):
    """The same light everywhere."""

    def render(self, pose: Tensor) -> Tensor:
        side = self.spec.side
        return (self.light + 0 * self.slope).expand(len(pose), side, side)

    def sample(self, n: int, *, exposure: float = 1.0) -> Tensor:
        return exposure * self.render(torch.arange(n))


def pictures() -> Tensor:
    columns, pose = torch.arange(8) / 8, torch.arange(3.0)
    return (0.2 + 0.5 * (columns + pose[:, None])).unsqueeze(1).expand(-1, 8, -1)


class Views(Source):
    """All pictures, in every batch."""

    batch_size = 3

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def next(self, k: int, model: object, *, stream: int = 0) -> Batch:
        return Batch.of(pictures(), seed=self.seed * 1_000_003 + k)


class Scene(Subject):
    def __init__(self, name: str, system: str, recipe: str) -> None:
        if name != "scene:three":
            raise UnknownNameError("scene", name, ("scene:three",))
        self.name, self.spec, self.size = name, SceneSpec(), 3
        self.recipe = Recipe(name=str(recipe), system=system, on=name, budget="40steps")

    def record(self) -> dict:
        return {"kind": "scene", "data": self.name}

    def source(self, plan, runtime) -> Views:
        return Views(plan.record["seed"])


class Scenes(Handling):
    kind = KIND

    def open(self, ask) -> Scene:
        return Scene(ask.options.get("data") or "scene:three", ask.system, ask.recipe)

    def evaluate(self, run, *, seed, progress, view) -> Evaluation:
        error = (run.model.render(torch.arange(3)) - pictures()).abs().flatten(1).mean(1)
        chosen = error if view is None else error[view : view + 1]
        scores = {"view_error": mean_score(chosen.detach(), "reconstruction")}
        return Evaluation(scores, {"data": run.subject, "view": view}, f"on {run.subject}")

    def sections(self, run, *, seed) -> list[str]:
        return [page.section("Three views", page.paragraph("A ramp, from three poses."))]

    def sample(self, run, *, seed, out, sampler, render) -> Sampled:
        drawn = run.model.sample(3, **sampler)[render]
        return Sampled([], tuple(drawn.shape))
