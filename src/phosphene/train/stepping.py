"""Adam's step for small networks, for which the overhead of torch's optimizer dominates."""

from typing import Any, cast

import torch
from torch.optim import Optimizer

__all__ = ["Stepper"]


class Stepper:
    """Takes an optimizer's steps; of a plain fused Adam, by its kernel alone.

    ``optimizer.step()`` looks up every moment, checks every option and fires hooks, anew each time:
    on small parameters many times what the kernel takes. After the first step the lists are kept,
    for as long as the optimizer holds the same states of the same parameters; loading a checkpoint
    or replacing a parameter makes others, and the lists are made again. The arithmetic is the
    kernel's, bit for bit.
    """

    def __init__(self) -> None:
        self._states: list[Any] = []
        self._lists: tuple[list[Any], ...] = ()

    def __call__(self, optimizer: Optimizer) -> None:
        """One step."""
        group = optimizer.param_groups[0]
        parameters = group["params"]
        if not self._plain(optimizer) or any(p.grad is None for p in parameters):
            optimizer.step()
            return
        states = [optimizer.state.get(p) for p in parameters]
        if not all(states):  # moments are made by the first step
            optimizer.step()
            return
        if len(states) != len(self._states) or any(
            a is not b for a, b in zip(states, self._states, strict=True)
        ):
            self._states = states
            known = cast(list[dict[str, Any]], states)
            names = ("exp_avg", "exp_avg_sq", "step")
            self._lists = tuple([state[name] for state in known] for name in names)
        first, second, steps = self._lists
        beta1, beta2 = group["betas"]
        with torch.no_grad():
            torch._foreach_add_(steps, 1)
            torch._fused_adam_(
                parameters, [p.grad for p in parameters], first, second, [], steps,
                amsgrad=False, lr=group["lr"], beta1=beta1, beta2=beta2,
                weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
                grad_scale=None, found_inf=None,
            )  # fmt: skip

    @staticmethod
    def _plain(optimizer: Optimizer) -> bool:
        """Whether it is Adam with nothing but a learning rate, on the CPU, in one group."""
        group = optimizer.param_groups[0]
        return (
            type(optimizer) is torch.optim.Adam
            and len(optimizer.param_groups) == 1
            and bool(group["fused"])
            and not (group["amsgrad"] or group["maximize"] or group["differentiable"])
            and group["params"][0].device.type == "cpu"
            and not hasattr(group["params"][0], "to_local")
            and not optimizer._optimizer_step_pre_hooks
            and not optimizer._optimizer_step_post_hooks
        )
