"""When a training is judged, what that may cost, and which weights are the best so far."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from phosphene.core.subject import Judge, Within
from phosphene.core.trainable import Trainable
from phosphene.train.allowance import Allowance, rows_of
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings

__all__ = ["Judging"]

_EVALUATIONS = 20  # in a run of a source with a clock, where no interval is given
_FEW = 4  # judgements, at least, before those of the end

Found = tuple[Mapping[str, float], bool, bool]
"""Scores; whether they are better than the best; whether they are as good."""


class Judging:
    """The judgements of one training.

    Args:
        judge: Scores the model; None for no judgements.
        model: What is judged.
        settings: Of the training.
        budget: Of the training.
        runtime: This process among the others.
        write: Writes weights under a name.
        averaged: Whether the weights are averaged, so that the end asks for two judgements.
    """

    def __init__(
        self,
        judge: Judge | None,
        model: Trainable,
        settings: TrainSettings,
        budget: Budget,
        runtime: Runtime,
        write: Callable[[str], None],
        *,
        averaged: bool,
    ) -> None:
        self.judge, self.model, self.settings, self.budget = judge, model, settings, budget
        self.runtime, self.write, self.last = runtime, write, 2 if averaged else 1
        self.best, self.bad, self.at = math.inf, 0, -1
        self.steps, self.seconds = (
            0,
            0.0,
        )  # that judgements took: of the source, of the clock on the wall
        self.length: float | None = None  # of the episodes that training met last
        self.every = settings.evaluate_every
        self.allowance: Allowance | None = None

    def plan_steps(self, total: int, batch: int, usual: int) -> None:
        """A training of so many engine steps: what the share holds of judgements and examples.

        Args:
            total: Steps.
            batch: Examples in one.
            usual: Steps between judgements, where none are given and the share holds as many.
        """
        share, given = self.settings.validation_share, self.settings.evaluate_every
        self.every = given or usual
        if share is not None and self.judge is not None and self.judge.n is not None:
            self.judge.n, self.every = rows_of(
                share, total, batch, self.judge.n, every=given, usual=usual, last=self.last
            )

    def plan_seconds(self, usual: int | None) -> None:
        """A training of so many seconds; ``usual`` as above, None for parts of the budget."""
        share = self.settings.validation_share
        self.every = self.settings.evaluate_every or usual
        if share is None or self.judge is None:
            return
        assert self.budget.seconds is not None
        self.allowance = Allowance(share * self.budget.seconds, clocked=True, last=self.last)

    def plan_clock(self) -> None:
        """A training of so many steps of the source's clock."""
        share = self.settings.validation_share
        if share is None or self.judge is None:
            return
        assert self.budget.steps is not None
        cost = self.judge.expected(None)
        total = share * self.budget.steps
        self.allowance = Allowance(total, clocked=False, last=self.last, cost=cost)

    def fit(self) -> None:
        """Find how many examples a judgement may have, by the clock, once the model is ready."""
        if self.judge is not None and self.judge.n is not None and self.allowance is not None:
            begun, seconds = time.perf_counter(), self.allowance.total / (_FEW + self.last)
            cost = self.judge.fit(self.model, self.runtime, seconds)
            self.allowance.charge(time.perf_counter() - begun)
            self.allowance.cost = cost
            self.seconds += time.perf_counter() - begun

    # -- judging ----------------------------------------------------------------------------

    def due(self, step: int, before: float, after: float) -> bool:
        """Whether a step ends with a judgement: every so many, or at parts of the budget.

        Args:
            step: Steps so far.
            before: Part of the budget that was spent before the step.
            after: That which is spent now.
        """
        if self.judge is None:
            return False
        if self.every is not None:
            due = step % self.every == 0
        else:
            due = math.floor(after * _EVALUATIONS) > math.floor(before * _EVALUATIONS)
        if not due or self.allowance is None:
            return due
        if not self.allowance.clocked and self.length is not None:
            expected = self.judge.expected(self.length)
            self.allowance.cost = max(expected, self.allowance.met)
        return self.runtime.any(self.allowance.holds(after))

    @torch.no_grad()
    def __call__(self, progress: float) -> Found | None:
        """Judge the present weights, which are kept if they are as good as the best.

        Of equals those are kept that have learned longest. None where validation's share does not
        hold the judgement.
        """
        assert self.judge is not None
        begun = time.perf_counter()
        self.model.eval()
        scores = self.judge(self.model, self.runtime, self._within(progress, begun))
        self.model.train()
        took = self.runtime.first(time.perf_counter() - begun)
        self.seconds += took
        self.steps += self.judge.steps
        if self.allowance is not None:
            cost = took if self.allowance.clocked else float(self.judge.steps)
            self.allowance.charge(cost, complete=scores is not None)
        if scores is None:
            return None
        better, best = scores["loss"] < self.best, scores["loss"] <= self.best
        if best:
            self.best = scores["loss"]
            if not self.model.keeps_last:
                self.write("best")
        return scores, better, best

    def _within(self, progress: float, begun: float) -> Within | None:
        """What tells a judgement that it has taken all that it may."""
        if self.allowance is None:
            return None
        left = self.allowance.left(progress)
        if self.allowance.clocked:
            return lambda steps: not self.runtime.any(time.perf_counter() - begun > left)
        return lambda steps: steps <= left

    def hand_out_last(self) -> str:
        """The last weights were not judged: the best of those that were may be early ones."""
        if not math.isinf(self.best) and not self.model.keeps_last:
            self.write("best")
        return (
            f"a share of {self.settings.validation_share:g} of the budget holds no validation of "
            "the last weights, which are handed out; --train.validation-share takes another"
        )

    # -- saving -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What judgements have come to."""
        allowance = {} if self.allowance is None else self.allowance.state_dict()
        return {
            **allowance, "steps": self.steps, "seconds": self.seconds, "length": self.length
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; a run of before judgements were counted says nothing."""
        if not state:
            return
        self.steps, self.seconds = int(state["steps"]), float(state["seconds"])
        self.length = None if state["length"] is None else float(state["length"])
        if self.allowance is not None and "spent" in state:
            self.allowance.load_state_dict(state)
