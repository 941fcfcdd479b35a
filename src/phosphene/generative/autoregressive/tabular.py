"""Tabular autoregressive model: a table of probabilities for every prefix."""

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.phase import Phase, Step
from phosphene.core.ranges import Count, NotNegative
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.nn.noise import Uniform
from phosphene.nn.scalar_distributions import Categorical, Conditional, ConditionalName

__all__ = ["Tabular"]

_STATES = 4096


class Tabular(Autoregressive):
    """p(x_i = v | x_<i) = (N(x_<i, v) + s) / (N(x_<i) + s L): what was counted after each prefix.

    Nothing is assumed, so the maximum of the likelihood (s = 0) is the empirical joint itself, and
    it takes sum_i (L - 1) L^(i-1) = L^D - 1 numbers for D codes of L levels: the reason why every
    other model of this room assumes something. Training counts, and needs no gradients; every
    example counts equally when the budget is a whole number of epochs, and ``--budget 1epochs``
    with a batch of the whole data set reads each once. A prefix that never occurred says nothing:
    its codes are equally probable.

    Given a label, each class has tables of its own; examples of unknown label are not counted.

    Args:
        event: Codes of at most 4,096 states, such as 12 bits.
        context: A label, or nothing.

    Raises:
        EventError: Too many states for tables, real numbers, or a context that is not a label.
        ConfigError: A smoothing below 0.

    Example:
        >>> model = Tabular(Event.binary(2), smoothing=0.0)
        >>> model.count(torch.tensor([[0, 0], [0, 1], [1, 1], [1, 1]]))
        >>> model.log_prob(torch.tensor([[0, 0], [1, 1]])).exp()
        tensor([0.2500, 0.5000])
        >>> model.free_parameters
        3
    """

    smoothing: NotNegative = setting(
        default=0.5,
        help="s, added to every count; 0 is maximum likelihood, 1/2 the estimator of Krichevsky "
        "and Trofimov (1981), 1 Laplace's rule.",
    )

    conditional_name: ConditionalName = pinned(default="auto")
    components: Count = pinned(default=10)

    def setup(self) -> None:
        """Make the parts."""
        _check_size(self.event)
        super().setup()
        self.counts: Tensor
        assert self.event.levels is not None
        if any(name != "label" for name in self.context.names):
            self.refuse("tables can be conditioned on a label only")
        self.levels = self.event.levels
        # Prefixes of length i stand in rows (L^i - 1) / (L - 1) and on, in the order of their
        # codes as digits of a number.
        dimensions = self.event.dimensions
        self.first = [(self.levels**i - 1) // (self.levels - 1) for i in range(dimensions)]
        rows = (self.levels**dimensions - 1) // (self.levels - 1)
        classes = self.context.label or 1
        self.register_buffer("counts", torch.zeros(classes, rows, self.levels))

    def distribution(self) -> Conditional:
        """Of a code."""
        return Categorical(self.event)

    @property
    def dtype(self) -> torch.dtype:
        """The counts' type: there are no parameters."""
        return self.counts.dtype

    @property
    def free_parameters(self) -> int:
        """Probabilities that can be chosen freely: (L^D - 1) for each class."""
        classes, rows, levels = self.counts.shape
        return classes * rows * (levels - 1)

    def phases(self) -> list[Phase]:
        """One phase that counts."""
        return [Phase("counts", [], update=self._update)]

    @torch.no_grad()
    def count(self, x: Tensor, context: Context | None = None) -> None:
        """Count examples, those of unknown label aside."""
        context = self._checked(x, context)
        self._add(self._tally(x.flatten(1).long(), context))

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Logarithms of all conditional probabilities (n, D, L)."""
        rows = self._rows(x.flatten(1).long())
        return self._log_p(self._classes(len(x), context)[:, None], rows)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One row of the table for each value."""
        of = self._classes(n, context)
        prefix = torch.zeros(n, dtype=torch.long, device=self.device)

        def step(k: int, x: Tensor) -> Tensor:
            nonlocal prefix
            if k:
                prefix = prefix * self.levels + x[:, k - 1].long()
            return self._log_p(of, self.first[k] + prefix)

        return step

    def _log_p(self, of: Tensor, rows: Tensor) -> Tensor:
        counts = self.counts[of, rows] + self.smoothing
        total = counts.sum(-1, keepdim=True)
        return torch.where(total > 0, counts / total, 1.0 / self.levels).log()

    def _classes(self, n: int, context: Context | None) -> Tensor:
        if self.context.label is None:
            return torch.zeros(n, dtype=torch.long, device=self.device)
        assert context is not None
        assert context.label is not None
        return context.label

    def _rows(self, codes: Tensor) -> Tensor:
        """The row of each dimension's prefix (n, D)."""
        prefix, rows = torch.zeros_like(codes[:, 0]), []
        for i, first in enumerate(self.first):
            rows.append(first + prefix)
            prefix = prefix * self.levels + codes[:, i]
        return torch.stack(rows, 1)

    def _tally(self, codes: Tensor, context: Context) -> Tensor:
        """The counts of examples, in the shape of the tables."""
        of = self._classes(len(codes), context)
        codes, of = codes[of >= 0], of[of >= 0]
        cell = (of[:, None] * self.counts.shape[1] + self._rows(codes)) * self.levels + codes
        counted = torch.bincount(cell.flatten(), minlength=self.counts.numel())
        return counted.reshape(self.counts.shape).to(self.counts.dtype)

    def _add(self, tally: Tensor) -> None:
        self.counts += tally
        self.count_labels(self.counts[:, 0].sum(-1))

    @torch.no_grad()
    def _update(self, batch: Batch, step: Step) -> None:
        context = self._checked(batch.x, batch.context)
        tally = self._tally(batch.x.flatten(1).long(), context)
        # Ranks tell each other means; the one that holds the first row says how many they are.
        here = torch.tensor(1.0 if batch.noise.first == 0 else 0.0, device=tally.device)
        self._add((step.all_reduce(tally) / step.all_reduce(here)).round())


def _check_size(event: Event) -> None:
    if event.levels is None:
        raise EventError(f"Tabular cannot model {event}: its tables are for codes")
    if event.levels**event.dimensions > _STATES:
        most = next((d for d in range(12, 0, -1) if event.levels**d <= _STATES), 0)
        raise EventError(
            f"Tabular cannot model {event}: it would need a number for each of its "
            f"{event.levels}^{event.dimensions} states, and {_STATES:,} are allowed: at most "
            f"{most} dimensions of {event.levels} levels"
        )
