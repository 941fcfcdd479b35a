"""The training loop: phases, budget, validation, checkpoints. It knows no model by name."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.errors import DivergedError, PhospheneError, RunError
from phosphene.core.progress import (
    Evaluated,
    Finished,
    Listener,
    Resumed,
    Saved,
    StepEnd,
    StopTraining,
    TrainingEvent,
    Warned,
)
from phosphene.core.subject import Judge, Source
from phosphene.core.trainable import Trainable, tensors
from phosphene.train.checkpoint import Checkpoints
from phosphene.train.ema import EMA
from phosphene.train.files import full
from phosphene.train.folder import WEIGHTS, save_tensors
from phosphene.train.interrupt import Interrupt
from phosphene.train.judging import Judging
from phosphene.train.phase_runner import LossFunction, PhaseRunner, StepHandle
from phosphene.train.runtime import Runtime
from phosphene.train.schedule import factor
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.sinks.jsonl import JSONLSink

__all__ = ["Engine"]


class Engine:
    """Trains one model on one source until its budget is spent.

    Args:
        model: Built, on the runtime's device.
        source: Gives batch k.
        settings: How to train.
        budget: How long.
        folder: The run folder; it exists.
        runtime: This process among the others.
        judge: What early stopping and the best weights are decided by; None for neither.
        precision: ``fp32`` or ``bf16``.
        transform: Applied to each phase's loss, such as ``torch.compile``.
        listeners: Told of every event.
    """

    def __init__(
        self,
        model: Trainable,
        source: Source,
        settings: TrainSettings,
        budget: Budget,
        folder: Path,
        runtime: Runtime,
        *,
        judge: Judge | None = None,
        precision: str = "fp32",
        transform: Callable[[LossFunction], LossFunction] = lambda f: f,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.model, self.source, self.settings = model, source, settings
        self.budget, self.folder, self.runtime = budget, folder, runtime
        self.judge = judge
        self.precision, self.transform, self.listeners = precision, transform, list(listeners)
        self.step, self.seen, self._elapsed = 0, 0, 0.0
        self._stopped = False  # by a listener
        self._terms: list[tuple[Tensor, dict[str, Tensor]]] = []
        self._rows = 0  # that these terms are means over
        self._sink: JSONLSink | None = None
        self.checkpoints = Checkpoints(folder / "checkpoint", runtime)

    # -- starting ---------------------------------------------------------------------------

    def setup(self, resume: bool) -> None:
        """Prepare the model on global batch 0, build phases; restore them when resuming."""
        if not resume:
            self.source.prepare(self.model)
        self.runtime.shard(self.model)
        arguments = (self.model, self.settings, self.runtime, self.precision, self.transform)
        self.runners = [PhaseRunner(phase, *arguments) for phase in self.model.phases()]
        self.optimizers = [r.optimizer for r in self.runners if r.optimizer is not None]
        self.ema = EMA(self.model, self.settings.ema) if self.settings.ema else None
        self.repeats = max(r.phase.repeat for r in self.runners)
        self.total = self._total_steps()
        self.judging = Judging(
            self.judge, self.model, self.settings, self.budget, self.runtime, self._write_weights,
            averaged=self.ema is not None,
        )  # fmt: skip
        self._plan_judgements()
        offset = self._restore() if resume else 0
        self.judging.fit()
        if self.runtime.main:
            self._sink = JSONLSink(self.folder / "metrics.jsonl", offset)
            self.listeners.insert(0, self._sink)

    def _total_steps(self) -> int | None:
        if self._clocked:
            return None
        if self.budget.steps is not None:
            return self.budget.steps
        if self.budget.epochs is not None:
            assert self.source.epoch is not None
            batch = self.source.batch_size * self.repeats
            return max(1, math.ceil(self.budget.epochs * self.source.epoch / batch))
        return None

    def _plan_judgements(self) -> None:
        """About once an epoch, or at twenty parts of the source's clock; fewer where dear."""
        batch = self.source.batch_size * self.repeats
        usual = None if self._clocked else max(200, math.ceil((self.source.epoch or 0) / batch))
        if self.budget.seconds is not None:
            self.judging.plan_seconds(usual)
        elif usual is None:
            self.judging.plan_clock()
        else:
            assert self.total is not None
            self.judging.plan_steps(self.total, batch, min(usual, max(1, self.total // 10)))

    # -- state ------------------------------------------------------------------------------

    def _restore(self) -> int:
        state = self.checkpoints.load(self.model, self.optimizers)
        self.step, self.seen, self._elapsed = state["step"], state["seen"], state["seconds"]
        self.judging.best, self.judging.bad = state["best"], state["bad_evaluations"]
        try:
            self.source.load_state_dict(state["source"])
            self.judging.load_state_dict(state.get("validation", {}))
            if self.ema is not None:
                self.ema.load_state_dict(state["ema"])
        except PhospheneError:
            raise
        except Exception as error:  # of what a damaged file may hold in their place
            raise RunError(
                f"the checkpoint of step {self.step} in {str(self.folder)!r} does not fit this "
                f"training: {full(error)}"
            ) from None
        return int(state["metrics"])

    def save(self) -> None:
        """Write a checkpoint and the model's weights."""
        state: dict[str, Any] = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.judging.best,
            "bad_evaluations": self.judging.bad,
            "metrics": self._sink.offset if self._sink else 0,
            "validation": self.judging.state_dict(),
        }
        own: dict[str, Any] = {
            "buffers": dict(self.model.named_buffers()),
            "source": self.source.state_dict(),
            "seen": self.seen,
        }
        if self.ema is not None:
            (own if self.runtime.sharded else state)["ema"] = self.ema.state_dict()
        path = self.checkpoints.save(self.step, state, own, self.model, self.optimizers)
        self._write_weights("last")
        if self.ema is not None:
            with self.ema.applied():
                self._write_weights("ema")
        self._tell(Saved(self.step, str(path)))
        self._saved_at = time.monotonic()

    def _write_weights(self, which: str) -> None:
        state = self._full_state()
        if self.runtime.main:
            save_tensors(state, self.folder / "model" / WEIGHTS[which])

    def _full_state(self) -> dict[str, Tensor]:
        if not self.runtime.sharded:
            return tensors(self.model)
        return {k: self.runtime.whole(v) for k, v in self.model.state_dict().items()}

    # -- time -------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Seconds spent in training, over all sittings."""
        return self._elapsed + time.perf_counter() - self._start

    @property
    def _clocked(self) -> bool:
        """Whether a budget in steps counts what the source meets, and not the engine's steps."""
        return self.source.clock() is not None

    def _clock(self) -> dict[str, float]:
        """The source's clock, as it is logged; nothing where it has none."""
        now = self.source.clock()
        return {} if now is None else {self.source.clock_name: float(now)}

    @property
    def progress(self) -> float:
        """Part of the budget that is spent, 0 to 1."""
        if self.total is not None:
            return min(1.0, self.step / self.total)
        if self.budget.steps is not None:
            return min(1.0, (self.source.clock() or 0) / self.budget.steps)
        assert self.budget.seconds is not None
        return min(1.0, self.seconds / self.budget.seconds)

    def _remaining(self) -> float | None:
        if self.budget.seconds is not None:
            return max(0.0, self.budget.seconds - self.seconds)
        done = self.progress - self._first_progress
        spent = self.seconds - self._elapsed
        return spent / done * (1 - self.progress) if done else None

    # -- the loop ---------------------------------------------------------------------------

    def run(self, resume: bool = False) -> str:
        """Train; returns why it ended: ``budget``, ``patience``, ``stopped`` or ``interrupted``."""
        self._start = time.perf_counter()
        self.setup(resume)
        self._start, self._first_progress = time.perf_counter(), self.progress
        self._began = self.step
        if resume:
            self._tell(Resumed(self.step, self._elapsed))
        else:
            self.save()
        self._saved_at = time.monotonic()
        try:
            with Interrupt() as interrupt:
                reason = self._loop(interrupt)
            self._finish(reason)
        finally:
            if self._sink is not None:
                self._sink.close()
                self.listeners.remove(self._sink)
                self._sink = None
        return reason

    def _loop(self, interrupt: Interrupt) -> str:
        self.model.train()
        while True:
            # Ranks must agree on when to stop and save: rank 0's clock, anybody's signal.
            progress = self.runtime.first(self.progress)
            if self.runtime.any(interrupt.requested):
                return "interrupted"
            if self.runtime.any(self._stopped):
                return "stopped"
            if progress >= 1:
                return "budget"
            patience = self.settings.patience
            if patience is not None and self.judging.bad >= patience:
                return "patience"
            try:
                self._take_step(progress)
            except DivergedError:
                raise
            except PhospheneError:
                if self._clocked:  # what is met broke; what was learned stands
                    self.save()
                raise
            if self.step % self.settings.log_every == 0:
                self._log(progress)
            after = self.runtime.first(self.progress)
            if self.judging.due(self.step, progress, after):
                self._evaluate(after)
            due = time.monotonic() - self._saved_at >= self.settings.checkpoint_every
            if self.runtime.any(due):
                self.save()

    def _take_step(self, progress: float) -> None:
        scale = factor(self.settings, self.step, progress)
        logged: dict[str, Tensor] = {}
        total: Tensor | None = None
        for number, runner in enumerate(self.runners):
            phase, value = runner.phase, None
            if self.step % phase.every:
                continue
            if len(self.runners) > 1:
                runner.freeze_others()
            for turn in range(phase.repeat):
                k = self.step * self.repeats + turn
                batch = self.source.next(k, self.model, stream=number)
                self.seen += len(batch) if number == 0 else 0
                self._rows += len(batch)
                if phase.update is not None:
                    terms = self._update(runner, batch)
                else:
                    value, terms = runner.gradient_step(batch, scale, self.step)
                    if len(self.runners) > 1:
                        terms = {f"{phase.name}_loss": value, **terms}
                logged |= terms
            if value is not None:  # of a phase that repeats, the last
                total = value if total is None else total + value
        self.step += 1
        if self.ema is not None:
            self.ema.update(self.step)
        self._terms.append((total if total is not None else torch.zeros(()), logged))

    def _update(self, runner: PhaseRunner, batch: Batch) -> dict[str, Tensor]:
        assert runner.phase.update is not None
        handle = StepHandle(self.step, self.runners, self.ema, self.runtime)
        terms = runner.phase.update(batch, handle) or {}
        self.optimizers = [r.optimizer for r in self.runners if r.optimizer is not None]
        return terms

    def _log(self, progress: float) -> None:
        names = list(self._terms[-1][1])
        columns = [torch.stack([total.float() for total, _ in self._terms]).mean()]
        for name in names:
            columns.append(_mean([terms[name] for _, terms in self._terms if name in terms]))
        means = self.runtime.weighted(torch.stack(columns), self._rows).tolist()
        self._terms.clear()
        self._rows = 0
        terms = dict(zip(["loss", *names], means, strict=True))
        terms["lr"] = self.optimizers[0].param_groups[0]["lr"] if self.optimizers else 0.0
        seen = self.runtime.sum(torch.tensor(float(self.seen), device=self.runtime.device))
        terms["examples"] = float(seen)
        terms |= self._clock() | self.source.statistics()
        self.judging.length = terms.get("length", self.judging.length)
        remaining = self._remaining()
        self._tell(StepEnd(self.step, self.seconds, progress, remaining, terms, self.model))

    # -- validation -------------------------------------------------------------------------

    @torch.no_grad()
    def _evaluate(self, progress: float) -> None:
        """Judge the averaged weights, where there is an average."""
        with self._averaged():
            found = self.judging(progress)
        if found is None:
            return
        scores, better, best = found
        self.judging.bad = 0 if better else self.judging.bad + 1
        self.judging.at = self.step
        # Where the last weights are handed out, they are the best that there are.
        self._tell_scores(dict(scores), best or self.model.keeps_last)

    def _averaged(self) -> AbstractContextManager[Any]:
        return self.ema.applied() if self.ema is not None else nullcontext()

    @torch.no_grad()
    def _evaluate_unaveraged(self) -> None:
        """In a short training an average still lags behind what it averages."""
        found = self.judging(1.0)
        if found is not None and found[1]:
            self._tell_scores(dict(found[0]), best=True)

    def _tell_scores(self, scores: dict[str, float], best: bool) -> None:
        if clock := self._clock():
            scores = {**scores, **clock, self.source.validation_name: float(self.judging.steps)}
        self._tell(Evaluated(self.step, self.seconds, scores, best, self.model))

    # -- ending -----------------------------------------------------------------------------

    def _finish(self, reason: str) -> None:
        if self._terms:
            self._log(self.progress)
        trained = self.step != self._began or self.step == 0
        if reason != "interrupted" and self.judge is not None and trained:
            if self.judging.at != self.step:
                self._evaluate(1.0)
            if self.judging.at != self.step:
                with self._averaged():
                    self._tell(Warned(self.judging.hand_out_last()))
            elif self.ema is not None:
                self._evaluate_unaveraged()
        finished = Finished(
            self.step, self.seconds, reason, self.runtime.gather(self.seen),
            clock=self.source.clock(),
            clock_name=self.source.clock_name,
            validation_clock=self.judging.steps if self._clocked else None,
            validation_name=self.source.validation_name,
            validation_seconds=self.judging.seconds,
            model=self.model,
        )  # fmt: skip
        self._tell(finished)
        self.save()

    def _tell(self, event: TrainingEvent) -> None:
        if self.runtime.main:
            for listener in self.listeners:
                try:
                    listener(event)
                except StopTraining:
                    self._stopped = True


def _mean(values: list[Tensor]) -> Tensor:
    """Mean over steps of the steps' means; in one go where all have one shape."""
    if all(v.shape == values[0].shape for v in values):
        return torch.stack(values).float().mean()
    return torch.stack([v.float().mean() for v in values]).mean()
