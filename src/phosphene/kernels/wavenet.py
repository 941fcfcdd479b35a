"""Generation from gated, dilated causal convolutions by ring buffers: native, and in torch."""

from dataclasses import dataclass
from operator import index

import torch
from torch import Tensor

from phosphene.core.errors import KernelError
from phosphene.kernels.declaration import Array, Kernel, Out, Range, Real, Rule
from phosphene.kernels.gate import gate
from phosphene.kernels.library import usable
from phosphene.kernels.reference import categorical

__all__ = ["WavenetArrays", "wavenet_reference", "wavenet_sample", "wavenet_usable"]

_wavenet = gate(
    Kernel(
        "wavenet",
        (
            Array("dilations", ("L",), "int64"),
            Array("taps", ("L", "kernel", "C", "2*C")),
            Array("u", ("n", "T")),
            Array("bias", ("L", "2*C"), rows=("n", "L", "2*C")),
            Array("residual", ("L - 1", "C", "C")),
            Array("skip", ("L*C", "S")),
            Array("skip_bias", ("S",)),
            Array("hidden", ("S", "S")),
            Array("hidden_bias", ("S",)),
            Array("output", ("S", "levels")),
            Array("output_bias", ("levels",)),
            Array("table", ("levels", "C")),
            Array("start", ("C",)),
            Real("temperature", 0.0, 1e30),
            Array("given", ("n", "T"), "number", optional=True),
            Array("kept", ("n", "T"), "bool", optional=True),
            Out("x", ("n", "T"), begins="given"),
        ),
        "n T L kernel C S levels dilations taps bias bias.rows residual skip skip_bias hidden"
        " hidden_bias output output_bias table start temperature u kept threads x",
        (
            Rule("(given is None) == (kept is None)", "given is values and a mask, both"),
            Range("dilations", "1", "1 << 32"),
            Range("given", "0", "levels", "given[kept]"),
        ),
        empty=("n", "T"),
    )
)


@dataclass(frozen=True)
class WavenetArrays:
    """The weights of a WaveNet of L layers, C channels, S skip channels; all map rows, y = x W.

    Args:
        dilations: (L) steps.
        taps: (L, kernel, C, 2 C), the oldest first; the first C outputs are the doubled tanh's.
        bias: (L, 2 C), or (n, L, 2 C) where rows differ.
        residual: (L - 1, C, C).
        skip: (L C, S).
        skip_bias: (S,).
        hidden: (S, S).
        hidden_bias: (S,).
        output: (S, levels).
        output_bias: (levels,).
        table: (levels, C): what stands for the code before.
        start: (C,): what stands before the first.
    """

    dilations: tuple[int, ...]
    taps: Tensor
    bias: Tensor
    residual: Tensor
    skip: Tensor
    skip_bias: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    output: Tensor
    output_bias: Tensor
    table: Tensor
    start: Tensor

    def tensors(self) -> list[Tensor]:
        """All arrays, in the order of the kernel's arguments."""
        names = [name for name in self.__dataclass_fields__ if name != "dilations"]
        return [getattr(self, name) for name in names]


def wavenet_usable(net: WavenetArrays, u: Tensor) -> bool:
    """Whether the native kernel can take this network: its device and type."""
    return usable(u, *net.tensors())


def wavenet_sample(
    net: WavenetArrays,
    u: Tensor,
    *,
    temperature: float = 1.0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Codes (n, T) as a function of uniform numbers (n, T).

    Native where the library is there and can take them, else in torch.

    Args:
        net: The weights.
        u: Uniform numbers (n, T).
        temperature: Divides the logits; 0 is greedy.
        given: Codes (n, T) and a mask (n, T), bool, True where they are kept.

    Raises:
        KernelError: A shape, a type, a code that is given or the temperature is not as said here.
    """
    try:
        dilations = torch.tensor([index(d) for d in net.dilations], dtype=torch.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise KernelError(f"dilations must be one integer a layer: {error}") from None
    taps, *others = net.tensors()
    x: Tensor | None = _wavenet(
        dilations, taps, u, *others, temperature, *(given or (None, None))
    )  # fmt: skip
    return wavenet_reference(net, u, temperature=temperature, given=given) if x is None else x


def wavenet_reference(
    net: WavenetArrays,
    u: Tensor,
    *,
    temperature: float = 1.0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The same in torch, one value after another."""
    n, steps = u.shape
    kernel, channels = net.taps.shape[1:3]
    past = [u.new_zeros(steps, n, channels) for _ in net.dilations]
    x = torch.zeros_like(u)
    for t in range(steps):
        h = net.table[x[:, t - 1].long()] if t else net.start.expand(n, -1)
        s = net.skip_bias.expand(n, -1)
        for i, d in enumerate(net.dilations):
            past[i][t] = h
            a = net.bias[..., i, :].expand(n, -1)
            for tap in range(kernel):
                if (back := (kernel - 1 - tap) * d) <= t:
                    a = a + past[i][t - back] @ net.taps[i, tap]
            one, two = torch.sigmoid(a).chunk(2, -1)
            z = (2.0 * one - 1.0) * two
            s = s + z @ net.skip[i * channels : (i + 1) * channels]
            if i + 1 < len(net.dilations):
                h = h + z @ net.residual[i]
        f = torch.relu(torch.relu(s) @ net.hidden + net.hidden_bias)
        value = categorical(f @ net.output + net.output_bias, u[:, t], temperature).to(u.dtype)
        x[:, t] = value if given is None else torch.where(given[1][:, t], given[0][:, t], value)
    return x
