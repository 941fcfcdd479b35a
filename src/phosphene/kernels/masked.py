"""Sampling from a masked network, every hidden unit computed once: native, and in torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import KernelError, UnknownNameError
from phosphene.kernels.declaration import (
    Array,
    Choice,
    Derived,
    Flag,
    Kernel,
    Many,
    Out,
    Range,
    Real,
    Rule,
)
from phosphene.kernels.gate import gate
from phosphene.kernels.library import ACTIVATION_CODES, usable
from phosphene.kernels.reference import ACTIVATIONS, bernoulli, categorical

__all__ = ["Head", "MaskedArrays", "masked_reference", "masked_sample", "masked_usable"]

HeadKind = Literal["bernoulli", "categorical", "mixture", "affine", "softplus", "sigmoid", "spline"]
_KINDS: tuple[HeadKind, ...] = get_args(HeadKind)
_OPTIONS = 8
_GIVEN_OPTIONS = {"softplus": (2,), "sigmoid": (2,), "spline": (_OPTIONS,)}
"""How many options a kind takes; the others take none."""
_OUTPUTS = "(S == 1, S >= 1, S % 3 == 0, S <= 2, S == 2, S == 2, S % 3 == 2)[kind]"
"""How many outputs the kinds have, in their order."""
_KNOWN = (
    "bool(((known >= 0) & (known <= torch.tensor(H)[:, None])).all() "
    "and (known.diff(dim=1) >= 0).all() and (not residual or (known.diff(dim=0) <= 0).all()))"
    " if L else True"
)

_masked = gate(
    Kernel(
        "masked",
        (
            Array("u", ("n", "D")),
            Array("head", ("D", "S", "top")),
            Derived("F", "(weights[0] if len(weights) else head).shape[-1] // D"),
            Many("weights", ("H", "H'"), "L", chain=("H", "D*F")),
            Array("head_bias", ("D", "S"), rows=("n", "D", "S")),
            Many("biases", ("H",), "L", rows_as="head_bias"),
            Array("known", ("L", "D"), "int64"),
            Array("direct", ("D", "S", "D*F"), optional=True),
            Flag("residual"),
            Choice("kind", {kind: i for i, kind in enumerate(_KINDS)}),
            Array("options", (_OPTIONS,), "float64"),
            Real("temperature", 0.0, 1e30),
            Array("z", ("n", "D"), optional=True),
            Array("given", ("n", "D"), "number", optional=True),
            Array("kept", ("n", "D"), "bool", optional=True),
            Choice("activation", ACTIVATION_CODES),
            Out("x", ("n", "D"), begins="given"),
        ),
        "n D L F S H known weights biases head head_bias direct head_bias.rows residual kind"
        " options temperature u z kept activation threads x",
        (
            Rule("(given is None) == (kept is None)", "given is values and a mask, both"),
            Rule("top == H_last", "head must read {H_last} units, got {top}"),
            Rule(_OUTPUTS, "a head of this kind cannot have {S} outputs a value"),
            Rule("F == 1 or (kind == 1 and F == S)", "there cannot be {F} features a value"),
            Rule("not (kind == 1 and F == S == 1)", "codes need 2 levels or more, got {S}"),
            Rule("kind < 2 or z is not None", "a head of reals needs standard values z, got none"),
            Rule("not residual or len(set(H)) <= 1", "residual layers have one width, got {H}"),
            Rule(_KNOWN, "known must be rising numbers of units, at most those of the layer, and in"
                 " residual layers at most those below",
                 inside=True),
            Range("given", "0", "S", "given[kept]", "kind == 1"),
        ),
        empty=("n", "L"),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """What the outputs of one value mean.

    Args:
        kind: ``bernoulli``: a logit. ``categorical``: logits of codes, which enter one-hot, or
            scaled to [-1, 1] where there is one feature. ``mixture``: logits, locations and
            log-scales s of K components, x = location + exp(limit tanh(s / limit)) z.
            ``affine``: a shift and a log-scale s, x = (z - shift) exp(-s / (1 + |s| / limit)),
            without the division where the limit is 0, and s = 0 where there is no second output.
            ``softplus`` and ``sigmoid``: a shift and a number r, x = (z - shift) / scale, with
            scale = floor + softplus(r + offset) or floor + sigmoid(r + offset).
            ``spline``: the parameters of a rational-quadratic spline h, h(x) = z.
        limit: Of log-scales.
        options: Of ``softplus`` and ``sigmoid`` (floor, offset); of ``spline`` (bound, limit of raw
            parameters or 0, floors of widths and heights, least slope, offset of raw slopes, raw
            slope at the ends, 1 for exponential slopes), see ``phosphene.nn.spline``.
    """

    kind: HeadKind
    limit: float = 8.0
    options: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UnknownNameError("head", str(self.kind), _KINDS)
        (count,) = _GIVEN_OPTIONS.get(self.kind, (0,))
        if len(self.options) != count:
            raise KernelError(f"a {self.kind} head has {count} options, got {len(self.options)}")

    def numbers(self) -> Tensor:
        """The options as the kernel takes them."""
        given = self.options or (self.limit,)
        return torch.tensor([*given, *[0.0] * (_OPTIONS - len(given))], dtype=torch.float64)


@dataclass(frozen=True)
class MaskedArrays:
    """A masked network sorted by degree and rank, as ``phosphene.nn.masked.SortedMLP`` is.

    What is masked is never read. Biases are (H_l,) and (D, S), or of each row: (n, H_l) and
    (n, D, S).

    Args:
        weights: (H_l, H_{l-1}) of each hidden layer, the first (H_0, D F).
        biases: Of each hidden layer.
        known: For each hidden layer, how many units are known at each rank.
        head: (D, S, H_L); (D, S, D F) without hidden layers.
        head_bias: Of the outputs.
        direct: (D, S, D F) or None.
        activation: Its name.
        residual: Whether hidden layers add their input.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    known: Sequence[Sequence[int]]
    head: Tensor
    head_bias: Tensor
    direct: Tensor | None = None
    activation: str = "relu"
    residual: bool = False

    def tensors(self) -> list[Tensor]:
        """All arrays."""
        direct = [] if self.direct is None else [self.direct]
        return [*self.weights, *self.biases, self.head, self.head_bias, *direct]


def masked_usable(net: MaskedArrays, u: Tensor) -> bool:
    """Whether the native kernel can take this network: its activation, device and type."""
    return net.activation in ACTIVATION_CODES and usable(u, *net.tensors())


def masked_sample(
    net: MaskedArrays,
    head: Head,
    u: Tensor,
    z: Tensor | None = None,
    *,
    temperature: float = 1.0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Samples (n, D) by rank, as a function of uniform numbers and standard values.

    Native where the library is there and can take them, else in torch.

    Args:
        net: The sorted network.
        head: What its outputs mean.
        u: Uniform numbers (n, D) by rank.
        z: Standard values (n, D) by rank, for mixtures and affine heads.
        temperature: Divides logits, and multiplies a component's scale; 0 is greedy.
        given: Values (n, D) and a mask (n, D), bool, True where they are kept.

    Raises:
        KernelError: A shape, a type, a code that is given or the temperature is not as said here.

    Example:
        >>> net = MaskedArrays([], [], [], torch.zeros(2, 1, 2), torch.zeros(2, 1))
        >>> masked_sample(net, Head("bernoulli"), torch.tensor([[0.2, 0.7]]))
        tensor([[0., 1.]])
    """
    x: Tensor | None = _masked(
        u, net.head, net.weights, net.head_bias, net.biases, _units(net, u), net.direct,
        net.residual, head.kind, head.numbers(), temperature, z, *(given or (None, None)),
        net.activation,
    )  # fmt: skip
    if x is not None:
        return x
    return masked_reference(net, head, u, z, temperature=temperature, given=given)


def _units(net: MaskedArrays, u: Tensor) -> Tensor:
    """The numbers of known units (L, D)."""
    try:
        if not len(net.known):
            return torch.zeros(0, *u.shape[-1:], dtype=torch.int64)
        return torch.tensor(net.known, dtype=torch.int64)
    except (AttributeError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise KernelError(f"known must be one row of integers a layer: {error}") from None


def masked_reference(
    net: MaskedArrays,
    head: Head,
    u: Tensor,
    z: Tensor | None = None,
    *,
    temperature: float = 1.0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The same in torch, one value after another."""
    n, dimensions = u.shape
    f = ACTIVATIONS[net.activation]
    features = (net.weights[0] if net.weights else net.head).shape[-1] // dimensions
    x = torch.zeros_like(u)
    state = [u.new_zeros(n, dimensions * features)]
    state += [u.new_zeros(n, len(w)) for w in net.weights]
    for k in range(dimensions):
        below = k * features
        for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            a, b = (net.known[i][k - 1] if k else 0), net.known[i][k]
            new = f(state[i][:, :below] @ weight[a:b, :below].T + bias[..., a:b])
            state[i + 1][:, a:b] = new + state[i][:, a:b] if net.residual and i else new
            below = b
        y = state[-1][:, :below] @ net.head[k, :, :below].T + net.head_bias[..., k, :]
        if net.direct is not None:
            seen = k * features
            y = y + state[0][:, :seen] @ net.direct[k, :, :seen].T
        value = _drawn(y, head, u[:, k], None if z is None else z[:, k], temperature)
        x[:, k] = value if given is None else torch.where(given[1][:, k], given[0][:, k], value)
        state[0][:, k * features : (k + 1) * features] = _entered(x[:, k], head, y, features)
    return x


def _drawn(y: Tensor, head: Head, u: Tensor, z: Tensor | None, temperature: float) -> Tensor:
    if head.kind == "bernoulli":
        return bernoulli(y[:, 0], u, temperature)
    if head.kind == "categorical":
        return categorical(y, u, temperature).to(y.dtype)
    assert z is not None
    if head.kind == "affine":
        s = y[:, 1] if y.shape[1] > 1 else torch.zeros_like(z)
        s = s / (1.0 + s.abs() / head.limit) if head.limit > 0 else s
        return (z - y[:, 0]) * torch.exp(-s)
    if head.kind in ("softplus", "sigmoid"):
        floor, offset = head.options
        g = F.softplus if head.kind == "softplus" else torch.sigmoid
        return (z - y[:, 0]) / (floor + g(y[:, 1] + offset))
    if head.kind == "spline":
        return _spline_inverse(z, y, head.options)
    logits, location, log_scale = y.chunk(3, -1)
    k = categorical(logits, u, temperature)[:, None]
    s = head.limit * torch.tanh(log_scale.gather(-1, k) / head.limit)
    value: Tensor = location.gather(-1, k)[:, 0] + temperature * s.exp()[:, 0] * z
    return value


def _entered(x: Tensor, head: Head, y: Tensor, features: int) -> Tensor:
    """How values enter the network (n, features)."""
    if head.kind != "categorical":
        return x[:, None]
    if features > 1:
        return F.one_hot(x.long(), features).to(x.dtype)
    return x[:, None] * (2.0 / (y.shape[1] - 1)) - 1.0


def _spline_inverse(z: Tensor, raw: Tensor, options: Sequence[float]) -> Tensor:
    """The x (n,) with h(x) = z, h a rational-quadratic spline with parameters (n, 3 K - 1)."""
    bound, limit, *floors, least, offset, unit, exponential = options
    k = (raw.shape[1] + 1) // 3
    if limit:
        bend = raw.new_full((3 * k - 1,), 1 / limit)
        bend[: 2 * k] *= 2
        raw = raw / (1 + raw.abs() * bend)
    knots = []
    for part, floor in zip(raw[:, : 2 * k].split(k, 1), floors, strict=True):
        widths = floor + (1 - k * floor) * part.softmax(1)
        inner = bound * (2 * widths.cumsum(1)[:, :-1] - 1)
        knots.append(F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound))
    at_knots = F.pad(raw[:, 2 * k :] + offset, (1, 1), value=unit)
    slopes = at_knots.exp() if exponential else least + F.softplus(at_knots)
    kept = z.clamp(-bound, bound)
    i = (kept[:, None] >= knots[1][:, 1:k]).sum(1, keepdim=True)
    (x0, x1), (y0, y1), (d0, d1) = (
        (at.gather(1, i)[:, 0], at.gather(1, i + 1)[:, 0]) for at in (*knots, slopes)
    )
    s, v = (y1 - y0) / (x1 - x0), kept - y0
    move = v * (d0 + d1 - 2 * s)
    a, b, c = move + (y1 - y0) * (s - d0), (y1 - y0) * d0 - move, s * v
    r = (b * b + 4 * a * c).clamp(min=0).sqrt()
    root = torch.where(b < 0, (r - b) / (2 * a), 2 * c / (b + r)).clamp(0, 1)
    return torch.where(z.abs() <= bound, x0 + root * (x1 - x0), z)
