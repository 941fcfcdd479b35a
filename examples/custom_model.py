"""A model of your own in forty lines: a mixture of Bernoullis, which has an exact likelihood.

It is an event, typed settings, a loss, and the methods that are true for it. The laws in
``tests/laws`` hold for it (``tests/test_examples.py`` runs them), the engine trains it, and every
metric applies. With the entry point below, ``phosphene train bernoulli-mixture`` works too:

    [project.entry-points."phosphene.systems"]
    bernoulli-mixture = "your_package.custom_model:SYSTEMS"

python examples/custom_model.py
"""

import sys
import tempfile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import phosphene as ph
from phosphene.catalog import System
from phosphene.core.errors import ConfigError


class BernoulliMixture(ph.Model):
    """Mixture of Bernoullis: p(x) = sum_k w_k prod_d Bernoulli(x_d; sigmoid(l_kd)).

    Latent classes of binary vectors (Lazarsfeld and Henry, 1968). The sum over k is short, so the
    likelihood is exact; scores are nats per example.

    Args:
        event: Binary, of any shape.
        context: Refused.
        components: Number K of components.

    Raises:
        EventError: The event is not binary, or a context is declared.
        ConfigError: ``components`` is below 1.

    Example:
        >>> model = BernoulliMixture(ph.Event.binary(9), components=3)
        >>> model.log_prob(model.sample(5)).shape
        torch.Size([5])
    """

    likelihood = "exact"

    def __init__(
        self, event: ph.Event, *, context: ph.ContextSpec | None = None, components: int = 40
    ) -> None:
        super().__init__(event, context=context)
        if event.levels != 2:
            self.refuse("it is for codes 0 and 1")
        if self.context:
            self.refuse("it takes no context")
        if components < 1:
            raise ConfigError(f"components must be at least 1, got {components}")
        self.weights = nn.Parameter(torch.zeros(components))
        self.logits = nn.Parameter(torch.randn(components, event.dimensions))

    def prepare(self, batch: ph.Batch) -> None:
        """Start each component near the frequencies of the first batch."""
        p = batch.x.flatten(1).to(self.dtype).mean(0).clamp(0.05, 0.95)
        with torch.no_grad():
            self.logits.add_(torch.logit(p))

    def loss(self, batch: ph.Batch) -> ph.Loss:
        """Minus the mean log-likelihood."""
        nll = -self.log_prob(batch.x)
        return ph.Loss(nll.mean(), {"nll": nll.detach()})

    def log_prob(self, x: Tensor, context: ph.Context | None = None) -> Tensor:
        """Exact log-probability of the codes, (n,) nats."""
        x = self.event.check(x).flatten(1).to(self.dtype)
        parts = x @ F.logsigmoid(self.logits).T + (1 - x) @ F.logsigmoid(-self.logits).T
        return torch.logsumexp(parts + F.log_softmax(self.weights, 0), 1)

    @torch.no_grad()
    def sample(
        self, n: int, context: ph.Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw a component, then the codes."""
        w = self.weights.softmax(0)
        k = torch.multinomial(w, n, replacement=True, generator=generator)
        x = torch.bernoulli(self.logits[k].sigmoid(), generator=generator)
        return x.to(torch.uint8).view(n, *self.event.shape)


SYSTEMS = [
    System(
        name="bernoulli-mixture",
        family="example",
        title="Mixture of Bernoullis",
        kind="model",
        events=("binary", "binary-image"),
        rows=(2,),
        paper="Lazarsfeld and Henry, 1968",
        target="examples.custom_model:BernoulliMixture",
    )
]


def main(budget: str = "300steps") -> None:
    """Train it, and score it."""
    torch.manual_seed(0)  # the initial weights; everything after is seeded by the training
    model = BernoulliMixture(ph.Event.image(1, 8, levels=2), components=40)
    with tempfile.TemporaryDirectory() as folder:
        run = ph.train(model, data="digits-binary", budget=budget, folder=folder,
                       lr=0.05, batch_size=256)  # fmt: skip
        scores = ph.evaluate(run, samples=300)
    for name in ("nll", "bits_per_dim", "frechet_distance", "precision", "recall"):
        print(f"{name:20} {scores[name].value:9.4f}  {scores[name].kind}")


if __name__ == "__main__":
    main(*sys.argv[1:])
