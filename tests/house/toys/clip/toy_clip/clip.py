"""A motion clip: two joints of a pendulum over sixteen frames, in degrees."""

from dataclasses import dataclass, replace

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
from toy_clip.kind import KIND

declare(
    Metric("angle_error", "Error of an angle", unit="degrees", about="Of joints.",
           better="lower", card=0, column=0, ranks=0)
)  # fmt: skip
FRAMES = torch.stack([torch.linspace(0, 3, 16).sin(), torch.linspace(0, 3, 16).cos()], 1) * 30


@tagged
@dataclass(frozen=True)
class ClipSpec:
    """How many joints a skeleton has."""

    joints: int = 2


class Motion(Trainable):
    """An angle for each joint at a time in seconds."""

    learns_from = "clip"
    specified_by = ClipSpec
    spec: ClipSpec = setting(kw_only=False, help="The clip's skeleton.")
    start: float = setting(default=1.0, help="Amplitudes before any step.")

    def setup(self) -> None:
        self.swing = nn.Parameter(torch.full((self.spec.joints,), self.start))

    def pose(self, time: Tensor) -> Tensor:
        raise NotImplementedError

    def loss(self, batch: Batch) -> Loss:
        time = batch.index[:, None] / 5
        error = self.pose(time) - batch.x + 0.1 * batch.normal((self.spec.joints,))
        return Loss(error.square().mean())

    def sample(self, n: int, *, speed: float = 1.0) -> Tensor:
        return self.pose(speed * torch.arange(n)[:, None] / 5)


class Swing(Motion):
    """Sine and cosine, each with its amplitude."""

    def pose(self, time: Tensor) -> Tensor:
        return self.swing * torch.cat([time.sin(), time.cos()], 1)


class Still(Motion):
    """The same pose at all times."""

    def pose(self, time: Tensor) -> Tensor:
        return self.swing.expand(len(time), -1)


class Windows(Source):
    """Four frames in a row, those of batch k a function of k alone."""

    batch_size = 4
    epoch = 16

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def next(self, k: int, model: object, *, stream: int = 0) -> Batch:
        index = (torch.arange(4) + 4 * k) % 16
        noise = Batch.of(FRAMES[index], seed=self.seed * 1_000_003 + k)
        return replace(noise, index=index)


class Clip(Subject):
    def __init__(self, name: str, system: str, recipe: str) -> None:
        if name != "clip:swing":
            raise UnknownNameError("clip", name, ("clip:swing",))
        self.name, self.spec, self.size = name, ClipSpec(), 16
        self.recipe = Recipe(
            name=str(recipe), system=system, on=name, budget="40steps", train={"lr": 0.1}
        )

    def record(self) -> dict:
        return {"kind": "clip", "data": self.name}

    def source(self, plan, runtime) -> Windows:
        return Windows(plan.record["seed"])


class Clips(Handling):
    kind = KIND

    def open(self, ask) -> Clip:
        return Clip(ask.options.get("data") or "clip:swing", ask.system, ask.recipe)

    def evaluate(self, run, *, seed, progress, frame) -> Evaluation:
        error = (run.model.sample(16) - FRAMES[:16]).abs().mean(1).detach()
        chosen = error if frame is None else error[frame : frame + 1]
        scores = {"angle_error": mean_score(chosen, "reconstruction")}
        return Evaluation(scores, {"data": run.subject, "frame": frame}, f"on {run.subject}")

    def sections(self, run, *, seed) -> list[str]:
        return [page.section("Frames", page.paragraph("Sixteen, a fifth of a second each."))]

    def sample(self, run, *, seed, out, sampler, frames) -> Sampled:
        return Sampled([], tuple(run.model.sample(frames, **sampler).shape))
