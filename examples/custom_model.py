"""A model of your own: a mixture of Bernoullis, p(x) = sum_k w_k prod_d Bernoulli(x_d; p_kd)."""

import torch
from torch import Generator, Tensor, nn

import phosphene as ph
from phosphene.core.settings import setting


class BernoulliMixture(ph.Model):
    likelihood = "exact"
    components: int = setting(default=40, help="Number K of components.")

    def setup(self) -> None:
        super().setup()
        if self.event.levels != 2 or self.context:
            self.refuse("it is for codes 0 and 1, without a context")
        self.weights = nn.Parameter(torch.zeros(self.components))
        self.logits = nn.Parameter(torch.randn(self.components, self.event.dimensions))

    def loss(self, batch: ph.Batch) -> ph.Loss:
        return ph.Loss(-self.log_prob(batch.x).mean())

    def log_prob(self, x: Tensor, context: None = None) -> Tensor:
        x = self.event.check(x).flatten(1).to(self.dtype)
        parts = x @ self.logits.T - nn.functional.softplus(self.logits).sum(1)
        return (parts + self.weights.log_softmax(0)).logsumexp(1)

    @torch.no_grad()
    def sample(self, n: int, context: None = None, *, generator: Generator | None = None) -> Tensor:
        k = self.weights.softmax(0).multinomial(n, replacement=True, generator=generator)
        x = torch.bernoulli(self.logits[k].sigmoid(), generator=generator)
        return x.to(torch.uint8).view(n, *self.event.shape)


if __name__ == "__main__":
    torch.manual_seed(0)
    model = BernoulliMixture(ph.Event.image(1, 8, levels=2))
    run = ph.train(model, data="digits-binary", budget="300steps", lr=0.05, batch_size=256)
    print(ph.evaluate(run, samples=300)["nll"])
