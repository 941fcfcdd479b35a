"""Linear autoencoder: its optimum spans the principal components.

    x^ = m + W2 W1 (x - m),      min  E|x - x^|^2 + l2 (|W1|^2 + |W2|^2)

Without regularization every optimum has the span of the top-k principal directions and an error
equal to the sum of the discarded eigenvalues, but its axes are arbitrary: W2 A, A^-1 W1 does as
well for any invertible A (Baldi and Hornik, 1989). With ``l2`` above zero the left singular
vectors of W2 are the principal directions themselves and its squared singular values are
max(1 - l2/lambda_i, 0) (Kunin, Bloom, Goeva and Seed, 2019).
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.ranges import Count, NotNegative
from phosphene.core.settings import setting

__all__ = ["LinearAutoencoder", "principal_angles"]


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between the column spans of a (D, k) and b (D, k), in radians, largest first.

    The cosines of the angles are the singular values of Qa^T Qb, and their sines those of
    (I - Qa Qa^T) Qb (Bjorck and Golub, 1973). Both are used, since the arc cosine alone cannot
    resolve angles below the square root of the machine's precision.

    Returns:
        Angles (k,), descending, between 0 and pi/2.

    Example:
        >>> e = torch.eye(3, dtype=torch.float64)
        >>> principal_angles(e[:, :2], e[:, 1:])
        tensor([1.5708, 0.0000], dtype=torch.float64)
    """
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    inner = qa.T @ qb
    cosines = torch.linalg.svdvals(inner).flip(0)
    sines = torch.linalg.svdvals(qb - qa @ inner)
    return torch.atan2(sines, cosines)


class LinearAutoencoder(Model):
    """Codes z = W1 (x - m) and reconstructions x^ = m + W2 z.

    Discrete events are measured on the scale [0, 1] (code / (levels - 1)), real events in their
    own unit; the squared error is summed over the D dimensions. Papers: Baldi and Hornik (1989);
    with ``l2``, Kunin et al. (2019).

    Args:
        event: Binary, image, audio or real; flattened in raster order.
        context: Refused: the model is not conditioned on anything.

    Raises:
        EventError: The event is of tokens, or a context was given.
        ConfigError: ``latent_dim`` is below 1, or ``l2`` is negative.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = LinearAutoencoder(Event.real(5), latent_dim=2)
        >>> model.encode(torch.zeros(3, 5)).shape, model.subspace().shape
        (torch.Size([3, 2]), torch.Size([5, 2]))
    """

    keeps_last = True

    latent_dim: Count = setting(
        default=8, help="Length k of the code; from k = D on reconstruction is exact."
    )
    l2: NotNegative = setting(
        default=0.0, help="Weight of |W1|^2 + |W2|^2. Above zero, the axes are the principal ones."
    )
    optimizer: Literal["trainer", "lbfgs"] = setting(
        default="trainer",
        help="``trainer`` for the trainer's, or ``lbfgs``, which wants the whole data set as one "
        "batch and then converges to the optimum in some hundred evaluations.",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.context:
            self.refuse(f"it takes no context, got {', '.join(self.context.names)}")
        d = self.event.dimensions
        if self.event.kind == "tokens":
            self.refuse("token codes have no order, so squared errors of them mean nothing")
        # A transposed pair starts near a projection, which is where every optimum lies.
        start = torch.randn(d, self.latent_dim) / d**0.5
        self.W1 = nn.Parameter(start.T.clone(memory_format=torch.contiguous_format))
        self.W2 = nn.Parameter(start)
        self.m = nn.Parameter(torch.zeros(d))

    def prepare(self, batch: Batch) -> None:
        """Start the offset m at the batch's mean."""
        with torch.no_grad():
            self.m.copy_(self._unit(batch.x).mean(0))

    def loss(self, batch: Batch) -> Loss:
        """Squared error summed over dimensions, and the penalty."""
        error = self._error(batch.x)
        penalty = self.W1.square().sum() + self.W2.square().sum()
        return Loss(error.mean() + self.l2 * penalty, {"squared_error": error})

    def phases(self) -> Sequence[Phase]:
        """One phase, with L-BFGS where asked for."""
        if self.optimizer == "trainer":
            return super().phases()
        lbfgs = partial(
            torch.optim.LBFGS,
            max_iter=50,
            history_size=50,
            tolerance_grad=1e-10,
            tolerance_change=1e-15,
            line_search_fn="strong_wolfe",
        )
        return [Phase("model", list(self.parameters()), self.loss, optimizer=lbfgs)]

    def squared_error(self, x: Tensor) -> Tensor:
        """|x - x^|^2 of each example (n,), discrete events on the scale [0, 1]."""
        return self._error(self.event.check(x))

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The code (n, k)."""
        return (self._unit(self.event.check(x)) - self.m) @ self.W1.T

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The example of a code (n, *event.shape), on the scale of the event's codes."""
        u = self.m + z @ self.W2.T
        levels = self.event.levels
        return (u if levels is None else u * (levels - 1)).reshape(-1, *self.event.shape)

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def subspace(self) -> Tensor:
        """An orthonormal basis (D, min(k, D)) of the span of the decoder."""
        basis: Tensor = torch.linalg.qr(self.W2)[0]
        return basis

    @torch.no_grad()
    def axes(self) -> tuple[Tensor, Tensor]:
        """Left singular vectors (D, k) and singular values (k,) of the decoder, descending.

        After training with ``l2`` above zero the vectors are the principal directions, and
        l2 / (1 - s_i^2) are their eigenvalues.
        """
        u, s, _ = torch.linalg.svd(self.W2, full_matrices=False)
        return u, s

    def _error(self, x: Tensor) -> Tensor:
        u = self._unit(x)
        return (u - self.m - (u - self.m) @ self.W1.T @ self.W2.T).square().sum(1)

    def _unit(self, x: Tensor) -> Tensor:
        u = x.flatten(1).to(self.dtype)
        return u if self.event.levels is None else u / (self.event.levels - 1)
