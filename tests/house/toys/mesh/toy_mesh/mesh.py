"""A mesh to fit: the corners of a box in the plane, in centimeters."""

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
from toy_mesh.kind import KIND

declare(
    Metric("surface_error", "Distance to the surface", unit="cm", about="Of corners.",
           better="lower", card=0, column=0, ranks=0)
)  # fmt: skip
CORNERS = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]])


@tagged
@dataclass(frozen=True)
class MeshSpec:
    """Dimensions of the space around a mesh."""

    axes: int = 2


class Surface(Trainable):
    """Half sizes along the axes."""

    learns_from = "mesh"
    specified_by = MeshSpec
    spec: MeshSpec = setting(kw_only=False, help="The mesh's space.")
    start: float = setting(default=0.5, help="Half sizes before any step.")

    def setup(self) -> None:
        self.halves = nn.Parameter(torch.full((self.spec.axes,), self.start))

    def sizes(self) -> Tensor:
        return self.halves

    def loss(self, batch: Batch) -> Loss:
        seen = batch.x.abs() + 0.01 * batch.normal((self.spec.axes,))
        return Loss((seen - self.sizes()).square().mean())

    def sample(self, n: int, *, scale: float = 1.0) -> Tensor:
        return scale * self.sizes().expand(n, -1)


class Box(Surface):
    """Each axis has its own half size."""


class Ball(Surface):
    """All axes have one."""

    def sizes(self) -> Tensor:
        return self.halves.mean().expand(self.spec.axes)


class Corners(Source):
    """All corners, in every batch."""

    batch_size = 4

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def next(self, k: int, model: object, *, stream: int = 0) -> Batch:
        return Batch.of(CORNERS, seed=self.seed * 1_000_003 + k)


class Mesh(Subject):
    def __init__(self, name: str, system: str, recipe: str) -> None:
        if name != "mesh:box":
            raise UnknownNameError("mesh", name, ("mesh:box",))
        self.name, self.spec, self.size = name, MeshSpec(), 4
        self.recipe = Recipe(name=str(recipe), system=system, on=name, budget="40steps")

    def record(self) -> dict:
        return {"kind": "mesh", "data": self.name}

    def source(self, plan, runtime) -> Corners:
        return Corners(plan.record["seed"])


class Meshes(Handling):
    kind = KIND

    def open(self, ask) -> Mesh:
        return Mesh(ask.options.get("data") or "mesh:box", ask.system, ask.recipe)

    def evaluate(self, run, *, seed, progress, side) -> Evaluation:
        error = (run.model.sizes() - CORNERS.abs()).abs().detach()
        chosen = error.mean(1) if side is None else error[:, side]
        scores = {"surface_error": mean_score(chosen, "reconstruction")}
        return Evaluation(scores, {"data": run.subject, "side": side}, f"on {run.subject}")

    def sections(self, run, *, seed) -> list[str]:
        return [page.section("The box", page.paragraph(f"Half sizes {run.model.halves.tolist()}."))]

    def sample(self, run, *, seed, out, sampler, points) -> Sampled:
        return Sampled([], tuple(run.model.sample(points, **sampler).shape))
