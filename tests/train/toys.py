"""Toy models for the engine: one phase, two phases, and an update rule."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase, Step
from phosphene.data.dataset import Dataset
from phosphene.subjects.dataset.held_out import HeldOut

D = 6


def dataset(n: int = 200, split: str = "train") -> Dataset:
    x = torch.randn(n, D, generator=torch.Generator().manual_seed(len(split)))
    return Dataset(name="toy", split=split, event=Event.real(D), x=x)


class OnePhase(Model):
    """A noisy autoencoder: its loss draws normal numbers, as a VAE's does."""

    def __init__(self, event: Event, *, context: None = None, width: int = 8) -> None:
        super().__init__(event, context=context)
        self.net = nn.Sequential(nn.Linear(D, width), nn.Tanh(), nn.Linear(width, D))
        # Laid out by columns, as the weights of a convolution in channels-last order are.
        weight = self.net[0].weight
        weight.data = weight.data.T.contiguous().T

    def loss(self, batch: Batch) -> Loss:
        noise = batch.normal((D,))
        error = (self.net(batch.x + 0.1 * noise) - batch.x).square().sum(1)
        return Loss(error.mean(), {"error": error})


class TwoPhase(Model):
    """A critic taken twice a step, then a generator; a buffer counts, an update rule adapts it."""

    def __init__(self, event: Event, *, context: None = None, width: int = 8) -> None:
        super().__init__(event, context=context)
        self.generator = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, D))
        self.critic = nn.Sequential(nn.Linear(D, width), nn.Tanh(), nn.Linear(width, 1))
        self.register_buffer("level", torch.zeros(()))

    def sample(self, batch: Batch) -> Tensor:
        return self.generator(batch.normal((2,)))

    def critic_loss(self, batch: Batch) -> Loss:
        gap = self.critic(self.sample(batch).detach()) - self.critic(batch.x)
        return Loss(gap.mean() + self.critic(batch.x).square().mean(), {"gap": gap[:, 0]})

    def generator_loss(self, batch: Batch) -> Loss:
        score = -self.critic(self.sample(batch))[:, 0]
        return Loss(score.mean(), {"score": score})

    def adapt(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        self.level += 0.1 * (step.all_reduce(batch.x.mean()) - self.level)
        return {"level": self.level.clone()}

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("critic", list(self.critic.parameters()), self.critic_loss, repeat=2),
            Phase("generator", list(self.generator.parameters()), self.generator_loss),
            Phase("level", [], update=self.adapt, every=2),
        ]


def judge(model: Model) -> HeldOut | None:
    """Held-out examples, for a model with a loss of its own."""
    return None if type(model).loss is Model.loss else HeldOut(dataset(64, "validation"), 0, 2000)
