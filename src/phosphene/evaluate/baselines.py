"""What simple models reach on the same data: the numbers that a network has to beat.

All are fitted on training examples and give proper probabilities of codes, so that their scores
stand beside exact likelihoods.

- Text: the frequencies of symbols, and an interpolated n-gram (Witten and Bell, 1991).
- Sound: the frequencies of codes, and linear prediction whose residual is integrated over the bin
  of each mu-law code.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.data.dataset import Dataset
from phosphene.data.sound import signal_of
from phosphene.evaluate.score import Score, mean_score

__all__ = ["Histogram", "LinearPrediction", "NGram", "of_sound", "of_text", "rows_of"]

Integers = NDArray[np.int64]

_FITTED = 300_000
"""About the most samples that linear prediction is fitted on."""
_FAR = 1e9
"""An edge that no sample reaches; unlike infinity, it has gradients."""


def of_text(test: Dataset, train: Dataset) -> dict[str, Score]:
    """``baseline_ngram`` and ``baseline_unigram``: nats a symbol.

    Each example is scored as a model scores it, without what came before it.
    """
    assert test.event.levels is not None
    levels, x, known = test.event.levels, test.x.long().numpy(), rows_of(train)
    ngram = NGram.fit(known, levels)
    unbroken = -ngram.log_prob(x.reshape(1, -1)).mean()
    note = (
        f"interpolated {ngram.order}-gram of the training text; "
        f"{unbroken:.4f} where chunks are joined to one text"
    )
    histogram = Histogram.fit(known, levels).log_prob(x)
    return {
        "baseline_ngram": _mean(-ngram.log_prob(x), note),
        "baseline_unigram": _mean(-histogram, "frequencies of the training text's symbols"),
    }


def of_sound(test: Dataset, train: Dataset) -> dict[str, Score]:
    """``baseline_lpc`` and ``baseline_histogram``: bits a sample.

    Each example is scored as a model scores it, without what came before it.
    """
    assert test.event.levels is not None
    levels, x, known = test.event.levels, test.x.long().numpy(), rows_of(train)
    histogram = Histogram.fit(known, levels)
    predicted = LinearPrediction.fit(known, levels)
    note = f"linear prediction from {predicted.order} samples, fitted on the training sound"
    bits = 1 / math.log(2)
    return {
        "baseline_lpc": _mean(-bits * predicted.log_prob(x), note),
        "baseline_histogram": _mean(
            -bits * histogram.log_prob(x), "frequencies of the training sound's codes"
        ),
    }


def _mean(values: NDArray[np.float64], note: str) -> Score:
    return mean_score(torch.from_numpy(values.mean(1)), "exact", note)


def rows_of(dataset: Dataset) -> Integers:
    """Sequences (n, T) that together hold each symbol once, where that can be seen.

    Overlapping chunks that are a view of one sequence become that sequence again, (1, N).
    """
    x = dataset.x
    (n, length), step = x.shape, x.stride(0)
    if x.stride(1) == 1 and 0 < step < length and n > 1:
        x = torch.as_strided(x, (1, (n - 1) * step + length), (1, 1), x.storage_offset())
    return x.long().numpy()


class Histogram:
    """Independent symbols: p(c) = (n_c + 1/2) / (N + levels/2).

    Args:
        counts: Of each code (levels,).

    Example:
        >>> flat = Histogram(np.zeros(4))
        >>> float(np.exp(flat.log_prob(np.array([[2]])))[0, 0])
        0.25
    """

    def __init__(self, counts: NDArray[np.float64]) -> None:
        self.log_p = np.log(counts + 0.5) - np.log((counts + 0.5).sum())

    @classmethod
    def fit(cls, x: Integers, levels: int) -> "Histogram":
        """Count the codes of x."""
        return cls(np.bincount(x.reshape(-1), minlength=levels).astype(np.float64))

    def log_prob(self, x: Integers) -> NDArray[np.float64]:
        """Nats of each symbol of x, of its shape."""
        value: NDArray[np.float64] = self.log_p[x]
        return value


class NGram:
    """An interpolated n-gram (Witten and Bell, 1991).

    With n(h) the times that the context h was met, n(h c) those that c followed, t(h) how many
    different symbols did, and h' the context without its oldest symbol,

        p(c | h) = (n(h c) + t(h) p(c | h')) / (n(h) + t(h)),

    down to the uniform distribution over all codes. The first symbols of a sequence have the
    contexts that there are.

    Args:
        levels: How many codes there are.
        tables: For each order: the keys of its sequences and their counts; the keys of its
            contexts, how often and with how many successors they were met.
    """

    def __init__(self, levels: int, tables: Sequence[tuple[Integers, ...]]) -> None:
        self.levels, self.tables = levels, tables

    @property
    def order(self) -> int:
        """Symbols of a sequence, the predicted one among them."""
        return len(self.tables)

    @classmethod
    def fit(cls, x: Integers, levels: int, order: int = 5) -> "NGram":
        """Count the sequences of up to ``order`` symbols within each row of x."""
        order = min(order, x.shape[1], int(62 / math.log2(levels)))  # a sequence is one number
        tables = []
        for keys in _keys(x, levels, order):
            found, counts = np.unique(keys, return_counts=True)
            contexts, first = np.unique(found // levels, return_index=True)
            different = np.diff(np.append(first, len(found)))
            tables.append((found, counts, contexts, np.add.reduceat(counts, first), different))
        return cls(levels, tables)

    def log_prob(self, x: Integers) -> NDArray[np.float64]:
        """Nats of each symbol of x (n, T) given those before it in its row."""
        p = np.full(x.shape, 1.0 / self.levels)
        every = _keys(x, self.levels, self.order)
        for k, (keys, table) in enumerate(zip(every, self.tables, strict=False)):
            found, counts, contexts, met, different = table
            n = _lookup(keys, found, counts)
            total = _lookup(keys // self.levels, contexts, met)
            kinds = _lookup(keys // self.levels, contexts, different)
            lower = p[:, k:]
            p[:, k:] = np.where(
                total > 0, (n + kinds * lower) / np.maximum(total + kinds, 1), lower
            )
        value: NDArray[np.float64] = np.log(p)
        return value


def _keys(x: Integers, levels: int, order: int) -> list[Integers]:
    """Numbers (n, T - k) that name the k + 1 symbols ending at each place, for k below order."""
    keys = [x]
    for k in range(1, min(order, x.shape[1])):
        keys.append(x[:, : x.shape[1] - k] * levels**k + keys[-1][:, 1:])
    return keys


def _lookup(keys: Integers, known: Integers, values: Integers) -> Integers:
    """Values by key, 0 for keys that are not known."""
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[at] == keys, values[at], 0)


class LinearPrediction:
    r"""Linear prediction of the signal, with a Laplace residual integrated over bins of codes.

    With the signal y of mu-law codes, silent before the sequence begins, e_t its residual, and r_t
    the mean of the last 32 values of \|e\|,

        m_t = sum_{k=1}^{16} a_k y_{t-k},     b_t = alpha r_{t-1} + beta,
        p(c_t | past) = (1 - w) (F((u_c - m_t) / b_t) - F((l_c - m_t) / b_t)) + w h(c_t),

    where l_c and u_c are the edges of code c's bin (the outermost reach to infinity), F is the
    distribution function of Laplace, and h is the histogram of codes. The coefficients a are by
    least squares, alpha, beta and w by maximum likelihood.

    Args:
        coefficients: a (order,), the nearest sample first.
        scale: alpha, beta and w.
        histogram: h.
        levels: How many codes there are.
    """

    def __init__(
        self, coefficients: Tensor, scale: Tensor, histogram: Histogram, levels: int
    ) -> None:
        self.coefficients, self.scale = coefficients, scale
        self.histogram, self.levels = histogram, levels

    @property
    def order(self) -> int:
        """Samples that a prediction looks back."""
        return len(self.coefficients)

    @classmethod
    def fit(cls, x: Integers, levels: int, order: int = 16) -> "LinearPrediction":
        """Fit to codes x (n, T), or to a part of them where there are many."""
        histogram = Histogram.fit(x, levels)
        x = _spread(x, _FITTED)
        y = torch.from_numpy(signal_of(torch.from_numpy(x), levels))
        past = _past(y, order).reshape(-1, order)
        covariance = past.T @ past + 1e-9 * len(past) * torch.eye(order, dtype=past.dtype)
        coefficients = torch.linalg.solve(covariance, past.T @ y.reshape(-1))
        found = cls(coefficients, torch.zeros(3), histogram, levels)
        found.scale = found._fit_scale(x)
        return found

    def _fit_scale(self, x: Integers) -> Tensor:
        """alpha, beta and w by maximum likelihood."""
        inner = self._moments(x)
        start = torch.tensor([1.0, 1e-3, 1e-2], dtype=torch.float64)
        raw = torch.stack([start[0].log(), start[1].log(), start[2].logit()]).requires_grad_()
        search = torch.optim.LBFGS([raw], max_iter=30, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            search.zero_grad()
            value = -self._score(inner, _natural(raw)).mean()
            value.backward()
            return value

        with torch.enable_grad():
            search.step(loss)
        return _natural(raw.detach())

    def _moments(self, x: Integers) -> tuple[Tensor, ...]:
        """Edges of each sample's bin less its prediction, the recent residual, log h."""
        codes = torch.from_numpy(x)
        y = torch.from_numpy(signal_of(codes, self.levels))
        mean = _past(y, self.order) @ self.coefficients
        recent = _past((y - mean).abs(), 32).mean(-1)
        edges = torch.from_numpy(signal_of(torch.arange(self.levels + 1) - 0.5, self.levels))
        edges[0], edges[-1] = -_FAR, _FAR
        low, high = edges[codes] - mean, edges[codes + 1] - mean
        return low, high, recent, torch.from_numpy(self.histogram.log_prob(x))

    @staticmethod
    def _score(moments: tuple[Tensor, ...], scale: Tensor) -> Tensor:
        """Nats of each code, (n, T)."""
        low, high, recent, log_h = moments
        alpha, beta, w = scale
        b = alpha * recent + beta
        near, far = low / b, high / b
        # F(far) - F(near), without the loss of digits where both are on one side.
        right = 0.5 * ((-near.clamp(min=0)).exp() - (-far.clamp(min=0)).exp())
        left = 0.5 * (far.clamp(max=0).exp() - near.clamp(max=0).exp())
        p: Tensor = (1 - w) * (left + right) + w * log_h.exp()
        return p.log()

    def log_prob(self, x: Integers) -> NDArray[np.float64]:
        """Nats of each code of x (n, T) given those before it in its row."""
        value: NDArray[np.float64] = self._score(self._moments(x), self.scale).numpy()
        return value


def _natural(raw: Tensor) -> Tensor:
    return torch.stack([raw[0].exp(), raw[1].exp(), raw[2].sigmoid()])


def _past(y: Tensor, order: int) -> Tensor:
    """The values before each of y (n, T), the nearest first, zero before the first: (n, T, order).

    Example:
        >>> _past(torch.tensor([[1.0, 2.0, 3.0]]), 2)[0].tolist()
        [[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]]
    """
    padded = torch.cat([y.new_zeros(len(y), order), y[:, :-1]], dim=1)
    return padded.unfold(1, order, 1).flip(-1)


def _spread(x: Integers, most: int) -> Integers:
    """Rows of x, or pieces of its one row, evenly spread: about ``most`` values in all."""
    if len(x) == 1 and x.shape[1] > most:
        piece = 4096
        x = x[:, : x.shape[1] // piece * piece].reshape(-1, piece)
    kept = min(len(x), max(1, most // x.shape[1]))
    return x[np.linspace(0, len(x) - 1, kept).astype(np.int64)]
