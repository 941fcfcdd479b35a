"""Runs one phase: its optimizer, its wrapper, its gradient step."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from phosphene.core.batch import Batch
from phosphene.core.errors import DivergedError, RunError
from phosphene.core.phase import Phase
from phosphene.core.trainable import Trainable
from phosphene.train.ema import EMA
from phosphene.train.runtime import Runtime
from phosphene.train.schedule import make_optimizer
from phosphene.train.settings import TrainSettings
from phosphene.train.stepping import Stepper

__all__ = ["PhaseRunner", "StepHandle"]

Terms = dict[str, Tensor]
LossFunction = Callable[[Batch], Any]


class PhaseRunner:
    """Takes a phase's turns.

    Args:
        phase: What the model declared.
        model: The model; its other parameters are frozen during the turn.
        settings: Batch, clipping, optimiser.
        runtime: Wraps the loss for other ranks.
        precision: ``bf16`` runs the loss under autocast.
        transform: Applied to the loss function, such as ``torch.compile``.
    """

    def __init__(
        self,
        phase: Phase,
        model: Trainable,
        settings: TrainSettings,
        runtime: Runtime,
        precision: str = "fp32",
        transform: Callable[[LossFunction], LossFunction] = lambda f: f,
    ) -> None:
        self.phase, self.model, self.settings, self.runtime = phase, model, settings, runtime
        self.precision, self.transform = precision, transform
        self.parameters = list(phase.parameters)
        self._flags: list[tuple[nn.Parameter, bool]] | None = None
        self.optimizer: Optimizer | None = None
        if phase.loss is not None:
            make = phase.optimizer
            self.optimizer = (
                make(self.parameters)
                if make is not None
                else make_optimizer(self.parameters, settings, runtime.device)
            )
            self.base_lr = [group["lr"] for group in self.optimizer.param_groups]
            self._step = Stepper()
        self.rewrap()

    def rewrap(self) -> None:
        """Build the wrapper (again), while only this phase's parameters require gradients."""
        self._flags = None
        if self.phase.loss is None:
            self.wrapped: nn.Module | None = None
            return
        self.freeze_others()
        self.wrapped = self.runtime.wrap(self.model, self.transform(self.phase.loss))

    def freeze_others(self) -> None:
        """Let only this phase's parameters collect gradients."""
        if self._flags is None:
            own = {id(p) for p in self.parameters}
            self._flags = [(p, id(p) in own) for p in self.model.parameters()]
        for p, wanted in self._flags:
            if p.requires_grad is not wanted:
                p.requires_grad_(wanted)

    def gradient_step(self, batch: Batch, scale: float, step: int) -> tuple[Tensor, Terms]:
        """Loss, gradients, clipping and one optimiser step; returns total and terms."""
        optimizer = self.optimizer
        assert optimizer is not None
        for group, lr in zip(optimizer.param_groups, self.base_lr, strict=True):
            group["lr"] = lr * scale
        if isinstance(optimizer, torch.optim.LBFGS):
            return self._closure_step(optimizer, batch, step)
        total, terms = self._backward(batch, step)
        self._clip()
        self._step(optimizer)
        return total, terms

    def _closure_step(
        self, optimizer: torch.optim.LBFGS, batch: Batch, step: int
    ) -> tuple[Tensor, Terms]:
        first: list[tuple[Tensor, Terms]] = []

        def closure() -> float:
            batch.noise.draws = 0
            result = self._backward(batch, step)
            first.append(result)
            return float(result[0])

        optimizer.step(closure)
        return first[0]

    def _clip(self) -> None:
        if self.settings.clip is None:
            return
        if self.runtime.sharded:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
            return
        grads = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        scale = (self.settings.clip / (norm + 1e-6)).clamp_(max=1.0)
        torch._foreach_mul_(grads, scale)

    def _backward(self, batch: Batch, step: int) -> tuple[Tensor, Terms]:
        """Gradients of the mean over the global batch, by micro-batches."""
        assert self.wrapped is not None
        for p in self.parameters:
            p.grad = None
        pieces = self.settings.accumulate
        results = []
        for i in range(pieces):
            rows = slice(len(batch) * i // pieces, len(batch) * (i + 1) // pieces)
            micro = batch if pieces == 1 else batch[rows]
            with self.runtime.no_sync(self.wrapped, i == pieces - 1), self._autocast():
                total, terms = self.wrapped(micro)
            self._check(total, terms, step)
            # DDP averages gradients over ranks; unequal shares are weighted back to a plain mean.
            weight = len(micro) * self.runtime.world / self.settings.batch_size
            with self.runtime.no_sync(self.wrapped, i == pieces - 1):
                (total if weight == 1 else total * weight).backward()
            results.append((len(micro), total.detach(), {k: v.detach() for k, v in terms.items()}))
        return _merge(results)

    def _autocast(self) -> Any:
        if self.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.runtime.device.type, torch.bfloat16)

    def _check(self, total: Tensor, terms: Terms, step: int) -> None:
        value = total.item()
        if math.isfinite(value):
            return
        bad = [k for k, v in terms.items() if not bool(torch.isfinite(v).all())]
        lr = self.optimizer.param_groups[0]["lr"] if self.optimizer else self.settings.lr
        raise DivergedError(
            f"the loss of phase {self.phase.name!r} is {value} at step {step}"
            + (f", in the term {bad[0]!r}" if bad else "")
            + f", with learning rate {lr:g}; "
            + ("the last good checkpoint is kept. " if step else "nothing was learned before. ")
            + "Try a smaller --train.lr or --train.clip 1"
        )


def _merge(results: Sequence[tuple[int, Tensor, Terms]]) -> tuple[Tensor, Terms]:
    if len(results) == 1:
        return results[0][1], results[0][2]
    n = sum(size for size, _, _ in results)
    total = torch.stack([value * (size / n) for size, value, _ in results]).sum()
    terms = {
        name: torch.stack([t[name].mean() * (size / n) for size, _, t in results]).sum()
        for name in results[0][2]
    }
    return total, terms


class StepHandle:
    """What an update rule may ask of the engine: reductions and replaced parameters.

    Args:
        number: The step.
        runners: The phases at work.
        ema: The average that follows replaced parameters.
        runtime: Reduces over ranks.
    """

    def __init__(
        self, number: int, runners: Sequence[PhaseRunner], ema: EMA | None, runtime: Runtime
    ) -> None:
        self.number, self._runners, self._ema, self._runtime = number, runners, ema, runtime

    def all_reduce(self, value: Tensor) -> Tensor:
        """Mean of a tensor over ranks."""
        return self._runtime.mean(value)

    def replace_parameters(
        self, old: nn.Parameter, new: nn.Parameter, index: Tensor
    ) -> nn.Parameter:
        """Put ``new`` in the place of ``old``, everywhere.

        Row i of the new moments and average is row ``index[i]`` of the old ones.

        Raises:
            RunError: The parameters are sharded; rows cannot move between ranks.
        """
        if self._runtime.sharded:
            raise RunError(
                "parameters cannot be replaced under --train.strategy fsdp: their rows lie on "
                "different ranks; use ddp"
            )
        model = self._runners[0].model
        for module in model.modules():
            for name, value in module._parameters.items():
                if value is old:
                    module._parameters[name] = new
        for runner in self._runners:
            _replace_in(runner, old, new, index)
        if self._ema is not None:
            self._ema.replace(old, new, index)
        if self._runtime.distributed:
            for runner in self._runners:
                runner.rewrap()
        return new


def _replace_in(runner: PhaseRunner, old: nn.Parameter, new: nn.Parameter, index: Tensor) -> None:
    runner.parameters = [new if p is old else p for p in runner.parameters]
    if runner.optimizer is None:
        return
    for group in runner.optimizer.param_groups:
        group["params"] = [new if p is old else p for p in group["params"]]
    state = runner.optimizer.state.pop(old, None)
    if state is not None:
        runner.optimizer.state[new] = {
            k: v[index].clone() if torch.is_tensor(v) and v.shape == old.shape else v
            for k, v in state.items()
        }
