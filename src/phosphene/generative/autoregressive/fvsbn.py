"""Fully visible sigmoid belief network: every conditional is a logistic regression."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.phase import Loss
from phosphene.core.ranges import Count, NotNegative
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.noise import Uniform
from phosphene.nn.scalar_distributions import Bernoulli, Conditional, ConditionalName

__all__ = ["FVSBN", "Weights"]

Weights = Literal["shared", "per-class"]


class FVSBN(Autoregressive):
    """p(x_i = 1 | x_<i) = sigmoid(b_i + sum_{j<i} W_ij x_j + U_i c), by Neal (1992), Frey (1996).

    The negative log-likelihood is convex in (b, W): ``--train.optimizer lbfgs`` with the whole data
    set as a batch finds its one optimum. That may lie at infinity, where earlier pixels separate a
    later one's values; a penalty brings it back. Training minimizes

        E[-log p(x)] + penalty / 2 sum_{j<i} W_ij^2,

    D logistic regressions side by side, each with inverse strength C = 1 / (penalty n) in
    scikit-learn's terms. The penalty is not a part of the likelihood.

    Given a label or a vector, c is its embedding: each class has biases of its own. With
    ``weights="per-class"`` each class has weights of its own, too, and the model is as many
    networks as there are classes; Bayes' rule then makes a good classifier of it.

    Args:
        event: Binary codes of any shape, D dimensions in raster order.
        context: A label or a vector, or nothing.

    Raises:
        EventError: The event is not binary, or a context that is neither.
        ConfigError: A penalty below 0.
        UnknownNameError: There are no such weights.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = FVSBN(Event.binary(4))
        >>> model.log_prob(torch.tensor([[0, 1, 1, 0]]))
        tensor([-2.7726], grad_fn=<SumBackward1>)
    """

    penalty: NotNegative = setting(
        default=0.0, help="Strength of the penalty on the squared weights, 0 for none."
    )
    weights: Weights = setting(
        default="shared",
        help="``shared`` by all classes, or ``per-class``; without labels there is one class.",
    )

    conditional_name: ConditionalName = pinned(default="auto")
    components: Count = pinned(default=10)

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.mask: Tensor
        dimensions = self.event.dimensions
        self.bias = nn.Parameter(torch.zeros(dimensions))
        classes = self.context.label
        networks = () if self.weights == "shared" or classes is None else (classes,)
        self.weight = nn.Parameter(torch.zeros(*networks, dimensions, dimensions))
        self.register_buffer("mask", torch.ones(dimensions, dimensions).tril(-1), persistent=False)
        self.condition = ConditionBias(self.context, dimensions)

    def distribution(self) -> Conditional:
        """Of a bit."""
        return Bernoulli(self.event)

    def start_at(self, start: Tensor) -> None:
        """Start at the marginals."""
        self.bias.copy_(start[:, 0])

    def _bias(self, n: int, context: Context | None) -> Tensor:
        given = self.condition(context)
        return self.bias.expand(n, -1) if given is None else self.bias + given

    def loss(self, batch: Batch) -> Loss:
        """The negative log-likelihood, and the penalty in training."""
        loss = super().loss(batch)
        if not self.training or self.penalty == 0.0:
            return loss
        penalty = 0.5 * self.penalty * (self.weight * self.mask).square().sum()
        return Loss(loss.total + penalty, {**loss.terms, "penalty": penalty})

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Logits (n, D, 1) of all conditionals."""
        flat = self.conditional.normalize(x.flatten(1), self.dtype)
        weight = self.weight * self.mask
        logits = F.linear(flat, weight) if weight.ndim == 2 else _by_class(flat, weight, context)
        return (logits + self._bias(len(x), context))[..., None]

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One row of the weights at a time: D^2 / 2 products in total."""
        bias = self._bias(n, context)
        of = None if self.weight.ndim == 2 else _label(context)

        def step(k: int, x: Tensor) -> Tensor:
            if of is None:
                return bias[:, k : k + 1] + x[:, :k] @ self.weight[k, :k, None]
            own = self.weight[:, k, :k][of]
            return bias[:, k : k + 1] + (x[:, :k] * own).sum(1, keepdim=True)

        return step


def _label(context: Context | None) -> Tensor:
    assert context is not None
    assert context.label is not None
    return context.label


def _by_class(x: Tensor, weight: Tensor, context: Context | None) -> Tensor:
    """W_y x of each example's class y: (n, D)."""
    label, out = _label(context), torch.zeros_like(x)
    for y in label.unique().tolist():
        rows = label == y
        out[rows] = F.linear(x[rows], weight[y])
    return out
