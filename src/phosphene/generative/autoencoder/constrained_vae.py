"""The VAE under a constraint on its KL, with the multiplier that enforces it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import Natural, Positive
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoencoder.settings import OneSampleSettings
from phosphene.generative.autoencoder.vae import VAE
from phosphene.nn.gaussian import kl_to_standard

__all__ = ["ConstrainedVAE"]

_TOLERANCE, _LOG_BETA = 0.02, (-13.815510557964274, 13.815510557964274)
"""By which part of its budget the KL may be over it and still count as within: what is left of the
multiplier's swings, and the error of a mean over some hundred examples. Log beta's range: 1e-6 to
1e6."""


class ConstrainedVAE(OneSampleSettings, VAE):
    """VAE with a budget for its KL: max E_q[log p(x|z)] subject to E_x KL(q(z|x) || p(z)) <= delta.

    The Lagrangian is E log p(x|z) - beta (KL - delta), and at its saddle point (Karush, Kuhn and
    Tucker) beta >= 0, KL <= delta and beta (KL - delta) = 0: either the budget is spent, or the
    multiplier is zero. A beta-VAE chooses beta and sees what KL follows; here the KL is chosen and
    beta is found, by dual ascent on its logarithm after each step of the model:

        log beta <- log beta + rate clamp(KL / delta - 1, -1, 1)

    The multiplier and its running error are buffers, saved with the weights; the KL is averaged
    over ranks. Higgins et al. (2017) give the constrained form; the multiplier's update follows
    Rezende and Viola, "Taming VAEs" (2018). The reported ``elbo`` has weight 1.

    Raises:
        EventError: The event or context cannot be modeled.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = ConstrainedVAE(Event.binary(9), delta=3.0, hidden=(16,))
        >>> [phase.name for phase in model.phases()], float(model.beta)
        (['model', 'multiplier'], 1.0)
    """

    delta: Positive = setting(default=10.0, help="The budget of KL in nats per example.")
    rate: Positive = setting(
        default=0.01, help="Step size of log beta; slow beside the learning of the weights."
    )
    warmup: Natural = pinned(default=0)

    def setup(self) -> None:
        """Make the networks, and the multiplier."""
        super().setup()
        self.log_beta = nn.Buffer(torch.zeros(()))

    @property
    def beta(self) -> Tensor:
        """The multiplier of the constraint."""
        return self.log_beta.exp()

    def objective(self, reconstruction: Tensor, kl: Tensor) -> Tensor:
        """E log p(x|z) - beta KL; the Lagrangian's constant beta delta moves no weight."""
        return reconstruction - self.beta * kl.sum(1)

    def loss(self, batch: Batch) -> Loss:
        """The Lagrangian; its terms name the multiplier."""
        loss = super().loss(batch)
        return Loss(loss.total, {**loss.terms, "beta": self.beta})

    def judged(self, batch: Batch) -> Loss:
        """Minus E log p(x|z), where the constraint holds; each nat that the KL is over costs 100.

        The Lagrangian at the multiplier of the moment would favor weights from before it had risen.
        """
        terms = super().loss(batch).terms
        over = (terms["kl"].mean() - (1.0 + _TOLERANCE) * self.delta).clamp(min=0.0)
        return Loss(100.0 * over - terms["reconstruction"].mean(), terms)

    def phases(self) -> Sequence[Phase]:
        """Gradient descent of the model, then dual ascent of the multiplier."""
        return [*super().phases(), Phase("multiplier", [], update=self._ascend)]

    @torch.no_grad()
    def _ascend(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        each = kl_to_standard(*self._posterior(*self._distorted(batch))).sum(1)
        # Ranks may have shares of different sizes: sums and their numbers are told, not means.
        kl = step.all_reduce(each.sum()) / step.all_reduce(each.new_tensor(float(len(each))))
        self.log_beta.add_(self.rate * (kl / self.delta - 1.0).clamp(-1.0, 1.0)).clamp_(*_LOG_BETA)
        return {"beta": self.beta, "kl": kl, "slackness": self.beta * (kl - self.delta)}
