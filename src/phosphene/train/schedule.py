"""Optimisers by name, and how the learning rate changes over the budget."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from phosphene.train.runtime import make_contiguous
from phosphene.train.settings import TrainSettings

__all__ = ["factor", "make_optimizer"]


def factor(settings: TrainSettings, step: int, progress: float) -> float:
    """What the learning rate is multiplied by: warm-up in steps, decay over the budget.

    Example:
        >>> factor(TrainSettings(schedule="cosine"), step=500, progress=0.5)
        0.5
    """
    scale = 1.0
    if settings.schedule == "cosine":
        scale = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    elif settings.schedule == "linear":
        scale = 1 - min(progress, 1.0)
    scale = settings.final_lr + (1 - settings.final_lr) * scale
    if settings.warmup:
        scale *= min(1.0, (step + 1) / settings.warmup)
    return scale


def make_optimizer(
    parameters: Sequence[nn.Parameter], settings: TrainSettings, device: torch.device
) -> Optimizer:
    """The trainer's optimiser, fused where torch has a fused kernel."""
    lr, decay, betas, eps = settings.lr, settings.weight_decay, settings.betas, settings.eps
    sharded = any(hasattr(p, "to_local") for p in parameters)  # not every fused kernel can shard
    fused = device.type in ("cpu", "cuda") and not sharded
    if settings.optimizer == "adam":
        return torch.optim.Adam(parameters, lr, betas, eps, decay, fused=fused)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr, betas, eps, decay, fused=fused)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=betas[0], weight_decay=decay, fused=fused)
    if settings.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, eps=eps, weight_decay=decay)
    make_contiguous(parameters)  # torch's L-BFGS flattens them, and their gradients, as views
    return torch.optim.LBFGS(parameters, lr=lr, max_iter=20, line_search_fn="strong_wolfe")
