"""Denoising networks by name, and the settings that choose among them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Protocol

from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.ranges import COUNT, Count, Within
from phosphene.core.settings import setting
from phosphene.generative.diffusion.layers.mlp import TimedMLP
from phosphene.generative.diffusion.layers.transformer import DiffusionTransformer
from phosphene.generative.diffusion.layers.unet import UNet
from phosphene.nn.conv import halvings
from phosphene.nn.noise import Uniform
from phosphene.nn.settings import AttentionSettings, DropoutSettings

__all__ = [
    "NETWORKS",
    "Denoiser",
    "NetworkName",
    "NetworkSettings",
    "Sizes",
    "build_network",
    "usual_widths",
]

NetworkName = Literal["auto", "unet", "transformer", "mlp"]


class Denoiser(Protocol):
    """What a diffusion model asks of its network."""

    def __call__(
        self,
        x: Tensor,
        time: Tensor,
        context: Context | None = None,
        *,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Of x's shape.

        Args:
            x: (n, *shape), of about unit variance.
            time: (n,) or (1,), in [0, 1]; one row is embedded once.
            context: Checked; where ``dropped``, its parts are withheld.
            uniform: Noise of dropout; None for none.
        """
        ...


def usual_widths(shape: tuple[int, ...], patch: int) -> tuple[int, ...]:
    """Channels of a small U-Net: as many levels, up to 4, as leave 4 pixels a side.

    Example:
        >>> usual_widths((1, 28, 28), 2), usual_widths((1, 8, 8), 1), usual_widths((3, 64, 64), 2)
        ((32, 64, 64), (32, 64), (32, 64, 64, 64))
    """
    side = -(-min(shape[1:]) // patch)
    levels = max(1, sum(h >= 4 for h, _ in halvings((side, side), 3)))
    return (32, *[64] * (levels - 1))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is told of a network; each takes of it what it has.

    Args:
        widths: Channels of the U-Net's levels, widths of the perceptron's stages, or the one width
            of the transformer; None for small ones.
        blocks: Residual blocks of a level or a stage; blocks of the transformer. None for 1
            (U-Net), 3 (perceptron), 6 (transformer).
        attention: Levels of the U-Net that attend, 0 the finest.
        heads: Heads of attention.
        patch: Side of the squares of pixels that are folded into channels; None for what the
            image's size suggests.
        dropout: Probability that an activation is dropped where noise is given.
        embedding: Size of the embedded time and condition; None for what the widths suggest.
        groups: At most so many groups of channels are normalized by the U-Net.
    """

    widths: tuple[int, ...] | None = None
    blocks: int | None = None
    attention: tuple[int, ...] = ()
    heads: int = 4
    patch: int | None = None
    dropout: float = 0.0
    embedding: int | None = None
    groups: int = 8


def _unet(event: Event, context: ContextSpec, sizes: Sizes) -> nn.Module:
    shape, patch, widths = event.shape, sizes.patch, sizes.widths
    if patch is None:
        patch = 2 if len(shape) == 3 and min(shape[1:]) >= 16 else 1
    if widths is None:
        widths = usual_widths(shape, patch) if len(shape) == 3 else (32,)
    return UNet(
        shape,
        context,
        widths=widths,
        blocks=sizes.blocks or 1,
        attention=sizes.attention,
        heads=sizes.heads,
        patch=patch,
        dropout=sizes.dropout,
        embedding=sizes.embedding,
        groups=sizes.groups,
    )


def _transformer(event: Event, context: ContextSpec, sizes: Sizes) -> nn.Module:
    widths, sides = sizes.widths or (192,), event.shape[1:] or event.shape
    if len(widths) != 1:
        raise ConfigError(f"a diffusion transformer has one width, got widths={widths}")
    usual = min(4 if min(sides) >= 24 else 2, *sides)
    return DiffusionTransformer(
        event.shape,
        context,
        width=widths[0],
        blocks=sizes.blocks or 6,
        heads=sizes.heads,
        patch=usual if sizes.patch is None else sizes.patch,
        dropout=sizes.dropout,
        embedding=sizes.embedding,
    )


def _mlp(event: Event, context: ContextSpec, sizes: Sizes) -> nn.Module:
    return TimedMLP(
        event.shape,
        context,
        widths=(256,) if sizes.widths is None else sizes.widths,
        blocks=sizes.blocks or 3,
        dropout=sizes.dropout,
        embedding=sizes.embedding,
    )


NETWORKS: dict[str, Callable[[Event, ContextSpec, Sizes], nn.Module]] = {
    "mlp": _mlp,
    "transformer": _transformer,
    "unet": _unet,
}
"""Networks by name."""


def build_network(
    event: Event, context: ContextSpec | None = None, name: str = "auto", **settings: Any
) -> nn.Module:
    """The denoising network of an event: a :class:`Denoiser`.

    Args:
        event: What one example is.
        context: What is declared; None for nothing.
        name: ``unet``, ``transformer`` (both for images), ``mlp``, or ``auto``: the first for
            what has an image's shape, the last for all else.
        settings: Those of :class:`Sizes`.

    Raises:
        UnknownNameError: There is no network of that name.
        ConfigError: The network cannot take the event, or a setting cannot be.

    Example:
        >>> import torch
        >>> net = build_network(Event.image(1, 8), widths=(8,), blocks=1)
        >>> type(net).__name__, net(torch.zeros(2, 1, 8, 8), torch.tensor([0.5])).shape
        ('UNet', torch.Size([2, 1, 8, 8]))
        >>> type(build_network(Event.real(2))).__name__
        'TimedMLP'
    """
    if name == "auto":
        name = "unet" if event.has_image_shape else "mlp"
    if name not in NETWORKS:
        raise UnknownNameError("network", name, ("auto", *NETWORKS))
    return NETWORKS[name](event, context or ContextSpec(), Sizes(**settings))


class NetworkSettings(AttentionSettings, DropoutSettings):
    """The denoising network; a model takes this group in and builds by ``network_settings``."""

    network_name: NetworkName = setting(
        alias="network",
        default="auto",
        help="``unet``, ``transformer`` (both for images), ``mlp``, or ``auto``: a U-Net for "
        "images, else an MLP.",
    )
    widths: Annotated[tuple[int, ...] | None, COUNT] = setting(
        default=None,
        help="Channels of the U-Net's levels from fine to coarse, each of half the size; widths of "
        "the MLP's stages; the one width of the transformer. None for small ones.",
    )
    blocks: Annotated[int | None, COUNT] = setting(
        default=None,
        help="Residual blocks of a level or stage, or blocks of the transformer; None for 1 "
        "(U-Net), 3 (MLP) or 6 (transformer).",
    )
    attention: Annotated[tuple[int, ...], Within(0, 31)] = setting(
        default=(),
        help="Levels of the U-Net at which pixels attend to each other, 0 the finest; its middle "
        "does where any level does.",
    )
    patch: Annotated[int | None, COUNT] = setting(
        default=None,
        help="Side of the squares of pixels that are folded into channels first; None for 2 where "
        "an image has 16 pixels a side or more (U-Net), for 4 from 24 on (transformer).",
    )
    embedding: Annotated[int | None, COUNT] = setting(
        default=None,
        help="Size of the embedded time and condition; None for four times the first width "
        "(U-Net), or the width.",
    )
    groups: Count = setting(
        default=8, help="Groups of channels that the U-Net normalizes, at most, 4 channels or more."
    )

    @property
    def network_settings(self) -> dict[str, Any]:
        """What :func:`build_network` takes beside the event and the context."""
        return {"name": self.network_name} | {f.name: getattr(self, f.name) for f in fields(Sizes)}
