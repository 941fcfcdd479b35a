"""Affine injection of a context image: SRFlow's conditional layer."""

from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.generative.flow.layers.coupling import by_parameter
from phosphene.generative.flow.layers.transform import Transform, total
from phosphene.nn.monotone import Affine, Monotone

__all__ = ["AffineInjector"]


class AffineInjector(Transform):
    """z = exp(s(u)) x + b(u) in every channel, u features of the context image alone.

    As s and b see nothing of x, all of x is moved at once and the inverse is explicit (SRFlow;
    Lugmayr, Danelljan, Van Gool and Timofte, 2020).

    Args:
        network: Gives (n, 2 C, h, w), first b and then s, of a tensor of zeros (n, 1, h, w), which
            tells x's height and width and nothing else of it, and the context. An
            :class:`~.conditioner.ImageConditioner` of one input and a context image is one.
        monotone: Another elementwise function than the affine one.

    Example:
        >>> import torch
        >>> from phosphene.core.context import ContextSpec
        >>> from phosphene.core.event import Event
        >>> from phosphene.generative.flow.layers.conditioner import ImageConditioner
        >>> spec = ContextSpec(image=Event.image(1, 2))
        >>> layer = AffineInjector(ImageConditioner(1, 8, 6, context=spec))
        >>> image = Context(image=torch.zeros(5, 1, 2, 2))
        >>> layer(torch.randn(5, 3, 4, 4), image)[1].shape
        torch.Size([5])
    """

    def __init__(self, network: nn.Module, monotone: Monotone | None = None) -> None:
        super().__init__()
        self.network = network
        self.monotone: Monotone = monotone or Affine()

    def _params(self, x: Tensor, context: Context | None) -> Tensor:
        params: Tensor = self.network(x.new_zeros(len(x), 1, *x.shape[2:]), context)
        return by_parameter(params, self.monotone.size)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scale and shift as the context says."""
        z, log_slope = self.monotone.forward(x, self._params(x, context))
        return z, total(log_slope)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        x, log_slope = self.monotone.inverse(z, self._params(z, context))
        return x, total(log_slope)
