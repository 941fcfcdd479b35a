"""The network of an image coupling, three convolutions in one call: native, and in torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.kernels.library import ACTIVATION_CODES, call, usable
from phosphene.kernels.reference import ACTIVATIONS

__all__ = ["ImageNetArrays", "image_net", "image_net_reference", "image_net_usable", "packed"]

_BLOCK = 4
"""Outputs that the kernel computes at once."""


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
    """What the kernel reads: sizes, and weights in the order in which it wants them."""

    sizes: Tensor
    numbers: Tensor
    outputs: int


def packed(net: ImageNetArrays) -> Packed:
    """The network as the kernel takes it: of each layer the biases, then (blocks, C, k k, 4)."""
    parts = []
    for weight, bias in zip(net.weights, net.biases, strict=True):
        more = -len(weight) % _BLOCK
        parts.append(F.pad(bias, (0, more)))
        whole = F.pad(weight.flatten(2), (0, 0, 0, 0, 0, more))
        parts.append(whole.unflatten(0, (-1, _BLOCK)).permute(0, 2, 3, 1).flatten())
    first, _, head = net.weights
    sides = [w.shape[2] for w in net.weights]
    code = ACTIVATION_CODES[net.activation]
    sizes = [first.shape[1], len(first), len(head), *sides, code]
    return Packed(torch.tensor(sizes, dtype=torch.int64), torch.cat(parts), len(head))


def image_net_usable(net: ImageNetArrays, x: Tensor) -> bool:
    """Whether the native kernel can take this network: its activation, device and type."""
    return net.activation in ACTIVATION_CODES and usable(x, *net.weights, *net.biases)


def image_net(
    net: Packed, x: Tensor, first: Tensor | None = None, second: Tensor | None = None
) -> Tensor:
    """The network's (n, S, h, w) of x (n, C, h, w), where :func:`image_net_usable`.

    Args:
        net: From :func:`packed`.
        x: Images; they may be some channels of larger ones.
        first: (n, H), added to the first layer's biases.
        second: (n, H), added to the second's.
    """
    n, _, height, width = x.shape
    if x.stride()[1:] != (height * width, width, 1):
        x = x.contiguous()
    out = x.new_empty(n, net.outputs, height, width)
    # The images are strided, so it is their address that is passed.
    call(
        "image_net", x.dtype, net.sizes, net.numbers, n, height, width, x.stride(0), x.data_ptr(),
        None if first is None else first.contiguous(),
        None if second is None else second.contiguous(), torch.get_num_threads(), out,
    )  # fmt: skip
    return out


def image_net_reference(
    net: ImageNetArrays, x: Tensor, first: Tensor | None = None, second: Tensor | None = None
) -> Tensor:
    """The same in torch."""
    f = ACTIVATIONS[net.activation]
    for weight, bias, more in zip(net.weights[:2], net.biases[:2], (first, second), strict=True):
        x = F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
        x = f(x if more is None else x + more[:, :, None, None])
    return F.conv2d(x, net.weights[2], net.biases[2], padding=net.weights[2].shape[2] // 2)
