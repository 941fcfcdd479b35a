"""Encoders and decoders for an event, chosen by name: what the autoencoders are made of."""

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor, nn

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.nn.conv import ConvDecoder, ConvEncoder
from phosphene.nn.mlp import MLP
from phosphene.nn.noise import Uniform

__all__ = ["Decoder", "MLPDecoder", "NetworkName", "build_decoder", "build_encoder"]

NetworkName = Literal["mlp", "conv", "resnet"]


class Decoder(Protocol):
    """Maps latents to the parameters of each dimension's distribution."""

    def __call__(
        self, z: Tensor, condition: Tensor | None = None, uniform: Uniform | None = None
    ) -> Tensor:
        """Map (n, latent) to (n, parameters, *event.shape)."""
        ...

    def start_at(self, parameters: Tensor) -> None:
        """Make the output begin at these parameters (parameters, *event.shape)."""
        ...


class MLPDecoder(MLP):
    """A multilayer perceptron whose output is shaped (n, parameters, *event.shape)."""

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        shape: tuple[int, ...],
        parameters: int = 1,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        condition: int = 0,
    ) -> None:
        self.shape = (parameters, *shape)
        outputs = 1
        for n in self.shape:
            outputs *= n
        super().__init__(
            inputs, hidden, outputs, activation=activation, dropout=dropout, condition=condition
        )

    def forward(
        self, x: Tensor, condition: Tensor | None = None, uniform: Uniform | None = None
    ) -> Tensor:
        """Map (n, inputs) to (n, parameters, *shape)."""
        out: Tensor = super().forward(x, condition, uniform).unflatten(1, self.shape)
        return out

    def start_at(self, parameters: Tensor) -> None:
        """Make the output begin at these parameters (parameters, *shape)."""
        head = self.layers[-1]
        assert isinstance(head, nn.Linear)
        head.bias.data.copy_(parameters.flatten())


def build_encoder(
    network: str,
    event: Event,
    hidden: Sequence[int],
    outputs: int,
    *,
    blocks: int = 1,
    activation: str = "relu",
    dropout: float = 0.0,
    norm: str = "none",
    condition: int = 0,
    patch: int = 1,
) -> nn.Module:
    """A network from (n, *event.shape) floats to (n, outputs).

    Args:
        network: ``mlp``, ``conv`` or ``resnet``; the latter two need an image event.
        event: What one example is.
        hidden: Widths, or channels of the stages, from the example to the latent.
        outputs: Size of the output.
        blocks: Residual blocks a stage, for ``resnet``.
        activation: Its name.
        dropout: Probability that a unit (or channel) is dropped where noise is given.
        norm: ``none`` or ``group``, for ``resnet``.
        condition: Size of the condition vector; 0 for none.
        patch: Side of the squares of pixels that ``conv`` and ``resnet`` fold into channels.

    Raises:
        ConfigError: The network cannot take the event, or a width is not positive.
        UnknownNameError: There is no network of that name.

    Example:
        >>> import torch
        >>> net = build_encoder("conv", Event.image(1, 8), (16, 32), 10)
        >>> net(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    _check(network, event)
    if network == "mlp":
        return MLP(
            event.dimensions,
            hidden,
            outputs,
            activation=activation,
            dropout=dropout,
            condition=condition,
        )
    return ConvEncoder(
        event.shape,
        hidden,
        outputs,
        blocks=blocks if network == "resnet" else 0,
        activation=activation,
        dropout=dropout,
        norm=norm,
        condition=condition,
        patch=patch,
    )


def build_decoder(
    network: str,
    inputs: int,
    hidden: Sequence[int],
    event: Event,
    parameters: int = 1,
    *,
    blocks: int = 1,
    activation: str = "relu",
    dropout: float = 0.0,
    norm: str = "none",
    condition: int = 0,
    patch: int = 1,
) -> MLPDecoder | ConvDecoder:
    """A network from (n, inputs) to (n, parameters, *event.shape).

    Args:
        network: ``mlp``, ``conv`` or ``resnet``.
        inputs: Size of the latent.
        hidden: Widths, or channels, **from the latent to the example** (the encoder's reversed).
        event: What one example is.
        parameters: Parameters of each dimension's distribution.
        blocks: Residual blocks a stage, for ``resnet``.
        activation: Its name.
        dropout: Probability that a unit (or channel) is dropped where noise is given.
        norm: ``none`` or ``group``, for ``resnet``.
        condition: Size of the condition vector; 0 for none.
        patch: Side of the squares of pixels that ``conv`` and ``resnet`` fold into channels.
    """
    _check(network, event)
    if network == "mlp":
        return MLPDecoder(
            inputs,
            hidden,
            event.shape,
            parameters,
            activation=activation,
            dropout=dropout,
            condition=condition,
        )
    return ConvDecoder(
        inputs,
        hidden,
        event.shape,
        parameters,
        blocks=blocks if network == "resnet" else 0,
        activation=activation,
        dropout=dropout,
        norm=norm,
        condition=condition,
        patch=patch,
    )


def _check(network: str, event: Event) -> None:
    if network not in ("mlp", "conv", "resnet"):
        raise UnknownNameError("network", network, ("mlp", "conv", "resnet"))
    if network != "mlp" and not event.has_image_shape:
        raise ConfigError(
            f"network={network!r} needs an image event (channels, height, width), "
            f"got {event}; use network='mlp'"
        )
