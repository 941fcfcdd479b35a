"""Whole samplers computed by native kernels; None where no kernel fits.

A kernel draws what the sampler in torch draws from the same uniform numbers.
"""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.moments import restore
from phosphene.kernels.masked import Head, MaskedArrays, masked_sample, masked_usable
from phosphene.nn.activations import ACTIVATIONS
from phosphene.nn.choosing import Choosing
from phosphene.nn.masked import MaskedMLP, SortedMLP
from phosphene.nn.monotone import Additive, Affine, FlooredAffine, Monotone
from phosphene.nn.scalar_distributions import (
    Bernoulli,
    Categorical,
    Conditional,
    GaussianMixture,
    LogisticMixture,
)
from phosphene.nn.spline import RationalQuadratic

__all__ = ["invert_masked", "sample_masked"]

_TINY = 1e-12


def sample_masked(
    net: MaskedMLP,
    conditional: Conditional,
    u: Tensor,
    context: Context | None,
    *,
    how: Choosing,
    member: int = 0,
    given: tuple[Tensor, Tensor] | None = None,
) -> Tensor | None:
    """Flat samples (n, D) of a masked network, or None where no kernel can do it.

    Args:
        net: The network; values enter scaled, or one-hot where it has so many features.
        conditional: Bernoulli, categorical, or a mixture of reals.
        u: Uniform numbers (n, D, uniforms), by dimension.
        context: The condition.
        how: A temperature; top-k and nucleus are left to torch.
        member: Which order or mask.
        given: Flat values (n, D) and a mask (n, D), True where they are kept.
    """
    head = _head(conditional)
    if head is None or how.top_k is not None or how.top_p is not None or len(u) == 0:
        return None
    sorted_ = SortedMLP.of(net, member, masked=False)
    arrays = _arrays(net, sorted_, context)
    if not masked_usable(arrays, u):
        return None
    order = sorted_.order
    raster = bool((order[1:] > order[:-1]).all())

    def by_rank(x: Tensor) -> Tensor:
        return x if raster else x[:, order]

    z, start = None, given
    if isinstance(conditional, GaussianMixture | LogisticMixture):
        most = 1.0 - torch.finfo(u.dtype).eps
        z = by_rank(conditional._quantile(u[..., 1].clamp(_TINY, most)))
        if given is not None:
            start = (conditional.normalize(given[0], u.dtype), given[1])
    start = None if start is None else (by_rank(start[0]), by_rank(start[1]))
    first = by_rank(u[..., 0])
    x = masked_sample(arrays, head, first, z, temperature=how.temperature, given=start)
    if not raster:
        x = x[:, order.argsort()]
    if isinstance(conditional, GaussianMixture | LogisticMixture):
        x = restore(x, conditional.shift, conditional.scale)
    return x if given is None else torch.where(given[1], given[0], x)


def invert_masked(
    net: MaskedMLP, monotone: Monotone, z: Tensor, context: Context | None
) -> Tensor | None:
    """The x with h(x_k; net(x)_k) = z_k for all ranks k, or None where no kernel can do it.

    Args:
        net: The network; it sees the values by rank.
        monotone: h.
        z: Values (n, D) by rank.
        context: The condition.
    """
    head = _monotone_head(monotone)
    if head is None or len(z) == 0:
        return None
    arrays = _arrays(net, SortedMLP.of(net, masked=False), context)
    if not masked_usable(arrays, z):
        return None
    z = z.contiguous()
    return masked_sample(arrays, head, z, z)


def _monotone_head(monotone: Monotone) -> Head | None:
    h = monotone
    if isinstance(h, Additive):
        return Head("affine")
    if isinstance(h, Affine):
        return Head("affine", h.limit)
    if isinstance(h, FlooredAffine):
        return Head(h.gate, options=(h.floor, h.offset))
    if isinstance(h, RationalQuadratic):
        ends = (h.min_slope, h.offset, h.unit, float(h.slopes == "exp"))
        return Head("spline", options=(h.bound, h.limit, *h.floors, *ends))
    return None


def _head(conditional: Conditional) -> Head | None:
    if isinstance(conditional, Bernoulli):
        return Head("bernoulli")
    if isinstance(conditional, Categorical):
        return Head("categorical")
    if isinstance(conditional, GaussianMixture | LogisticMixture):
        return Head("mixture", 8.0)
    return None


def _arrays(net: MaskedMLP, weights: SortedMLP, context: Context | None) -> MaskedArrays:
    name = next((name for name, f in ACTIVATIONS.items() if f is net.activation), "")
    given = [condition(context) for condition in net.conditions]
    biases, head_bias = list(weights.biases), weights.head_bias
    if given[-1] is not None:
        biases = [
            b + more[:, rows]
            for b, more, rows in zip(biases, given[:-1], weights.units, strict=True)
            if more is not None
        ]
        by_dimension = given[-1].view(-1, *head_bias.shape)
        head_bias = head_bias + by_dimension[:, weights.order]
    return MaskedArrays(
        weights.weights, biases, weights.known, weights.head, head_bias, weights.direct,
        activation=name, residual=net.residual,
    )  # fmt: skip
