"""Score anything: what it can do decides which scores it gets, and each says what it is.

python examples/evaluate_any_model.py
"""

import torch
from torch import Tensor, nn

import phosphene as ph
from phosphene.evaluate.fidelity import fidelity
from phosphene.evaluate.scoring import evaluate_model


class Pixels(ph.Model):
    """Independent pixels with the training set's frequencies: the baseline that must be beaten."""

    likelihood = "exact"

    def __init__(self, event: ph.Event, *, context: ph.ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        self.p = nn.Parameter(torch.full(event.shape, 0.5), requires_grad=False)

    def fit(self, x: Tensor) -> "Pixels":
        """Count, with half an example of each code added."""
        self.p.copy_((x.float().sum(0) + 0.5) / (len(x) + 1))
        return self

    def log_prob(self, x: Tensor, context: ph.Context | None = None) -> Tensor:
        """Exact, (n,) nats."""
        return torch.distributions.Bernoulli(self.p).log_prob(x.float()).flatten(1).sum(1)

    def sample(
        self, n: int, context: ph.Context | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Each pixel on its own."""
        p = self.p.expand(n, *self.event.shape)
        return torch.bernoulli(p, generator=generator).to(torch.uint8)


def main() -> None:
    """Score the baseline, and a set of copies."""
    train, test = (ph.data.load("digits-binary", split) for split in ("train", "test"))

    # A likelihood and samples: exact nats, and distances beside what real data would get.
    scores = evaluate_model(Pixels(train.event).fit(train.x), test, train, samples=300)
    assert scores["nll"].kind == "exact"
    assert "elbo" not in scores
    for name in ("nll", "bits_per_dim", "kernel_distance", "precision"):
        score = scores[name]
        floor = "" if score.floor is None else f"  (real data: {score.floor:.4f})"
        print(f"{name:16} {score.value:9.4f}  {score.kind}{floor}")

    # Samples from elsewhere, as an array: distances only. Here copies of training images, which
    # look perfect; the memorization ratio near zero tells.
    copies = train.x[:300]
    scores = fidelity(copies, test, train)
    for name in ("precision", "memorization_ratio"):
        print(f"copies: {name:18} {scores[name].value:.4f}  (real data: {scores[name].floor:.4f})")


if __name__ == "__main__":
    main()
