"""The network of an image coupling, three convolutions in one call: native, and in torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import KernelError
from phosphene.kernels.declaration import Array, Choice, Kernel, Out, Rule, Size
from phosphene.kernels.gate import gate
from phosphene.kernels.library import ACTIVATION_CODES, usable
from phosphene.kernels.reference import ACTIVATIONS

__all__ = ["ImageNetArrays", "image_net", "image_net_reference", "image_net_usable", "packed"]

_BLOCK = 4
"""Outputs that the kernel computes at once."""
_ODD = Rule("k1 % 2 == k2 % 2 == k3 % 2 == 1", "sides must be odd, got {k1}, {k2} and {k3}")
_arrays = gate(
    Kernel(
        "image_net",
        (
            Array("first", ("H", "C", "k1", "k1")),
            Array("second", ("H", "H", "k2", "k2")),
            Array("head", ("S", "H", "k3", "k3")),
            Array("first_bias", ("H",)),
            Array("second_bias", ("H",)),
            Array("head_bias", ("S",)),
            Choice("activation", ACTIVATION_CODES),
        ),
        rules=(_ODD,),
    ),
    "image_net_arrays",
)
_UP = "-(-{0} // 4) * 4"
_LENGTH = " + ".join(
    f"{_UP.format(outputs)} * (1 + {inputs} * {side} * {side})"
    for inputs, outputs, side in (("C", "H", "k1"), ("H", "H", "k2"), ("H", "S", "k3"))
)
_image_net = gate(
    Kernel(
        "image_net",
        (
            *(Size(name) for name in ("C", "H", "S", "k1", "k2", "k3")),
            Array("numbers", (_LENGTH,)),
            Array("x", ("n", "C", "h", "w"), strided=True),
            Array("first", ("n", "H"), optional=True),
            Array("second", ("n", "H"), optional=True),
            Choice("activation", ACTIVATION_CODES),
            Out("out", ("n", "S", "h", "w")),
        ),
        "C H S k1 k2 k3 activation numbers n h w x.rows x first second threads out",
        (_ODD,),
        empty=("n",),
    )
)


@dataclass(frozen=True)
class ImageNetArrays:
    """Three convolutions with zeros around, and an activation after the first two.

    Args:
        weights: (H, C, k, k), (H, H, k', k') and (S, H, k'', k''), sides odd.
        biases: (H), (H) and (S).
        activation: Its name.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    activation: str = "relu"


@dataclass(frozen=True)
class Packed:
    """What the kernel reads.

    Args:
        net: The network.
        sizes: Channels C, H and S, and the sides of the convolutions.
        numbers: Biases and weights in the order in which the kernel wants them.
    """

    net: ImageNetArrays
    sizes: tuple[int, ...]
    numbers: Tensor


def packed(net: ImageNetArrays) -> Packed:
    """The network as the kernel takes it: of each layer the biases, then (blocks, C, k k, 4).

    Raises:
        KernelError: There are not three layers, or one does not read what the one before gives.
    """
    if len(net.weights) != 3 or len(net.biases) != 3:
        raise KernelError(f"the network has 3 layers, got {len(net.weights)}, {len(net.biases)}")
    _arrays(*net.weights, *net.biases, net.activation)
    parts = []
    for weight, bias in zip(net.weights, net.biases, strict=True):
        more = -len(weight) % _BLOCK
        parts.append(F.pad(bias, (0, more)))
        whole = F.pad(weight.flatten(2), (0, 0, 0, 0, 0, more))
        parts.append(whole.unflatten(0, (-1, _BLOCK)).permute(0, 2, 3, 1).flatten())
    first, _, head = net.weights
    sides = [w.shape[2] for w in net.weights]
    return Packed(net, (first.shape[1], len(first), len(head), *sides), torch.cat(parts))


def image_net_usable(net: ImageNetArrays, x: Tensor) -> bool:
    """Whether the native kernel can take this network: its activation, device and type."""
    return net.activation in ACTIVATION_CODES and usable(x, *net.weights, *net.biases)


def image_net(
    net: Packed, x: Tensor, first: Tensor | None = None, second: Tensor | None = None
) -> Tensor:
    """The network's (n, S, h, w) of x (n, C, h, w).

    Native where the library is there and can take them, else in torch.

    Args:
        net: From :func:`packed`.
        x: Images; they may be some channels of larger ones.
        first: (n, H), added to the first layer's biases.
        second: (n, H), added to the second's.

    Raises:
        KernelError: A shape or a type is not as said here.
    """
    out: Tensor | None = _image_net(
        *net.sizes, net.numbers, x, first, second, net.net.activation
    )  # fmt: skip
    return image_net_reference(net.net, x, first, second) if out is None else out


def image_net_reference(
    net: ImageNetArrays, x: Tensor, first: Tensor | None = None, second: Tensor | None = None
) -> Tensor:
    """The same in torch."""
    f = ACTIVATIONS[net.activation]
    for weight, bias, more in zip(net.weights[:2], net.biases[:2], (first, second), strict=True):
        x = F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
        x = f(x if more is None else x + more[:, :, None, None])
    return F.conv2d(x, net.weights[2], net.biases[2], padding=net.weights[2].shape[2] // 2)
