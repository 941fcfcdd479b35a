"""One thing about an argument of a kernel made wrong: its layout, shape, values or type."""

import math

import torch

# -- breaking -----------------------------------------------------------------------------------


def relaid(t, rng):
    """The same values, otherwise in memory."""
    if t.dim() == 0:
        return t.clone()
    if rng.random() < 0.3 and t.dim() > 1:
        return t.mT.contiguous().mT
    wide = t.new_zeros((*t.shape[:-1], t.shape[-1] * 2 + 1))
    wide[..., : t.shape[-1] * 2 : 2] = t
    return wide[..., : t.shape[-1] * 2 : 2]


def reshaped(t, rng):
    kinds = ["shorter", "longer", "flat", "deeper", "empty", "turned", "scalar", "expanded"]
    kind = rng.choice(kinds)
    if kind == "deeper" or t.dim() == 0:
        return t[None]
    d = rng.randrange(t.dim())
    if kind == "shorter":
        return t.narrow(d, 0, max(t.shape[d] - 1, 0))
    if kind == "longer":
        return torch.cat([t, t.narrow(d, 0, min(1, t.shape[d]))], d)
    if kind == "empty":
        return t.narrow(d, 0, 0)
    if kind == "turned":
        return t.transpose(0, -1)
    if kind == "scalar" and t.numel():
        return t.flatten()[0]
    if kind == "expanded" and t.numel():
        shape = list(t.shape)
        shape[d] = rng.choice([7, 1 << 20, 1 << 40])
        return t.narrow(d, 0, 1).expand(shape)
    return t.flatten()


def poisoned(t, rng):
    if t.is_meta or t.is_complex() or t.numel() > 1_000_000:
        return t
    t = t.clone(memory_format=torch.contiguous_format)
    if t.numel():
        at = rng.randrange(t.numel())
        if t.dtype.is_floating_point:
            t.view(-1)[at] = rng.choice([math.nan, math.inf, -math.inf, -1.0, 1e4])
        elif t.dtype is not torch.bool:
            info = torch.iinfo(t.dtype)
            t.view(-1)[at] = rng.choice([-1 % (info.max + 1), info.min, info.max, info.max // 2])
    return t


def broken_tensor(t, rng):
    kind = rng.randrange(8)
    if t.numel() > 1_000_000:
        return t
    if kind <= 2:
        return reshaped(t, rng)
    if kind <= 5:
        return poisoned(t, rng)
    if kind == 6:
        return t.to(
            rng.choice(
                [
                    torch.float32,
                    torch.float64,
                    torch.int64,
                    torch.int32,
                    torch.bool,
                    torch.float16,
                    torch.bfloat16,
                    torch.uint8,
                    torch.complex64,
                ]
            )
        )
    return rng.choice([None, 3, 0.5, "x", [1.0], t.to("meta"), []])


def broken(value, rng):
    if isinstance(value, torch.Tensor):
        return broken_tensor(value, rng)
    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        value = list(value)
        kind, at = rng.randrange(4), rng.randrange(len(value))
        if kind == 0:
            return value[:-1]
        if kind == 1:
            return [*value, value[at]]
        value[at] = broken_tensor(value[at], rng)
        return value
    return rng.choice([None, -1, 0, 1 << 40, 1 << 70, math.nan, math.inf, "none", True, 2.5, []])
