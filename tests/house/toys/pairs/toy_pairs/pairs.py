"""Pairs of images, and two players: a generator that brightens, a critic that looks on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phosphene.catalog.recipe import Recipe
from phosphene.core.batch import Batch
from phosphene.core.config import tagged
from phosphene.core.errors import UnknownNameError
from phosphene.core.phase import Loss, Phase
from phosphene.core.settings import setting
from phosphene.core.subject import Source
from phosphene.core.trainable import Trainable
from phosphene.evaluate import page
from phosphene.evaluate.metric import Metric, declare
from phosphene.evaluate.score import mean_score
from phosphene.subjects.handling import Handling
from phosphene.subjects.plan import Subject
from phosphene.subjects.results import Evaluation, Sampled
from toy_pairs.kind import KIND

declare(
    Metric("pair_error", "Error of a translation", unit="grey levels", about="Of pixels.",
           better="lower", card=0, column=0, ranks=0)
)  # fmt: skip
LEFT = torch.linspace(0, 1, 8 * 64).view(8, 8, 8)
RIGHT = 0.5 * LEFT + 0.25


@tagged
@dataclass(frozen=True)
class PairsSpec:
    """The side of both images of a pair."""

    side: int = 8


class Translator(Trainable):
    """Images (n, side, side) to their partners."""

    learns_from = "pairs"
    specified_by = PairsSpec
    spec: PairsSpec = setting(kw_only=False, help="The images of a pair.")
    start: float = setting(default=1.0, help="Contrast before any step.")

    def setup(self) -> None:
        self.contrast = nn.Parameter(torch.tensor(self.start))
        self.light = nn.Parameter(torch.tensor(0.0))
        self.critic = nn.Linear(self.spec.side**2, 1)

    def translate(self, x: Tensor) -> Tensor:
        return self.contrast * x + self.light

    def sample(self, n: int, *, strength: float = 1.0) -> Tensor:
        return strength * self.translate(LEFT[:n])


class Adversary(Translator):
    """The critic learns twice a step to tell partners from translations, least squares."""

    def phases(self) -> list[Phase]:
        generator = [self.contrast, self.light]
        return [
            Phase("generator", generator, self.fool),
            Phase("critic", list(self.critic.parameters()), self.judge, repeat=2),
        ]

    def fool(self, batch: Batch) -> Loss:
        made = self.translate(batch.x) + 0.01 * batch.normal((8, 8))
        fooled = (self.critic(made.flatten(1)) - 1).square().mean()
        return Loss(fooled + 10 * (made - RIGHT[batch.index]).abs().mean())

    def judge(self, batch: Batch) -> Loss:
        made = self.translate(batch.x).detach()
        real = (self.critic(RIGHT[batch.index].flatten(1)) - 1).square().mean()
        return Loss(real + self.critic(made.flatten(1)).square().mean())


class Copy(Translator):
    """Learns a brightness and keeps the contrast."""

    def loss(self, batch: Batch) -> Loss:
        return Loss((batch.x + self.light - RIGHT[batch.index]).square().mean())


class Couples(Source):
    """All pairs, in every batch: the left images, by their numbers."""

    batch_size = 8

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def next(self, k: int, model: object, *, stream: int = 0) -> Batch:
        return Batch.of(LEFT, seed=self.seed * 1_000_003 + 10 * k + stream)


class Pairs(Subject):
    def __init__(self, name: str, system: str, recipe: str) -> None:
        if name != "pairs:shift":
            raise UnknownNameError("pairs", name, ("pairs:shift",))
        self.name, self.spec, self.size = name, PairsSpec(), 8
        self.recipe = Recipe(name=str(recipe), system=system, on=name, budget="40steps")

    def record(self) -> dict:
        return {"kind": "pairs", "data": self.name}

    def source(self, plan, runtime) -> Couples:
        return Couples(plan.record["seed"])


class PairsOfImages(Handling):
    kind = KIND

    def open(self, ask) -> Pairs:
        return Pairs(ask.options.get("data") or "pairs:shift", ask.system, ask.recipe)

    def evaluate(self, run, *, seed, progress, pair) -> Evaluation:
        error = (run.model.translate(LEFT) - RIGHT).abs().flatten(1).mean(1).detach()
        chosen = error if pair is None else error[pair : pair + 1]
        scores = {"pair_error": mean_score(chosen, "reconstruction")}
        return Evaluation(scores, {"data": run.subject, "pair": pair}, f"on {run.subject}")

    def sections(self, run, *, seed) -> list[str]:
        return [page.section("Pairs", page.paragraph("Eight of them."))]

    def sample(self, run, *, seed, out, sampler, number) -> Sampled:
        return Sampled([], tuple(run.model.sample(number, **sampler).shape))
