"""Jensen's inequality, and the bound on the evidence that it gives."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.jensen import evidence_bound, jensen_gap
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "f(E x) <= E f(x) for a convex f, with equality if f is a line or x is one value (Jensen, "
    "1906). -log is convex, so log p(x) = log E_q[p(x, z) / q(z)] >= E_q[log p(x, z) - log q(z)] = "
    "ELBO, and the gap is KL(q || p(z | x))."
)
_CONVEX: dict[str, Callable[[Tensor], Tensor]] = {
    "x^2": torch.square,
    "exp": torch.exp,
    "|x|": torch.abs,
    "-log(x + 4)": lambda x: -(x + 4).log(),
    "softplus": torch.nn.functional.softplus,
}


def prove(seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = evidence_bound) -> Proof:
    """Look at random distributions for a gap below 0, and at random models for ELBO > log p.

    Args:
        seed: Of the distributions.
        formula: The bound, from log p(x, z) and log q(z) over all z.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    x = 6 * torch.rand(2000, 7, generator=g, dtype=torch.float64) - 3
    w = torch.rand(2000, 7, generator=g, dtype=torch.float64) ** 3
    w = w / w.sum(1, keepdim=True)
    least = {name: jensen_gap(f, x, w).min() for name, f in _CONVEX.items()}
    joint = torch.log_softmax(3 * torch.randn(500, 9, generator=g, dtype=torch.float64), 1) - 2
    q = torch.log_softmax(3 * torch.randn(500, 9, generator=g, dtype=torch.float64), 1)
    log_p = torch.logsumexp(joint, 1)
    bound = formula(joint, q)
    exact = joint - log_p[:, None]
    divergence = (q.exp() * (q - exact)).sum(1)
    rows = [
        above(f"{name}: least E f(x) - f(E x) of 2,000 distributions", value, 0.0, 1e-12)
        for name, value in least.items()
    ]
    rows += [
        below(
            "a line, 2 x + 1: largest |gap|",
            jensen_gap(lambda x: 2 * x + 1, x, w).abs().max(),
            1e-12,
        ),
        below(
            "one value: largest |gap| of x^2",
            jensen_gap(torch.square, x[:, :1].expand_as(x), w).abs().max(),
            1e-12,
        ),
        below("largest ELBO - log p of 500 models", (bound - log_p).max(), 0.0),
        below(
            "log p - ELBO against KL(q || p(z | x)), worst gap",
            (log_p - bound - divergence).abs().max(),
            1e-12,
        ),
        equal(
            "q = p(z | x): log p - ELBO, worst",
            (log_p - formula(joint, exact)).abs().max(),
            0,
            1e-12,
        ),
    ]
    figure = {"x": torch.arange(500).double(), "log p - ELBO": (log_p - bound).sort().values}
    return Proof("jensen-inequality", "Jensen's inequality", _STATEMENT, rows, figure)


def _without_the_entropy(log_joint: Tensor, log_q: Tensor) -> Tensor:
    return (log_q.exp() * (log_joint + log_q)).sum(-1)


WRONG = Wrong(
    "ELBO = E_q[log p(x, z) + log q(z)]: the sign of the entropy, which leaves a bound, but a "
    "loose one",
    {"formula": _without_the_entropy},
)
