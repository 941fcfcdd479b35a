"""Baselines are proper probabilities of codes, equal to what their formulas say by hand."""

import math

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.data.sound import mu_law_codes, signal_of
from phosphene.data.tokenizers import CharacterTokenizer
from phosphene.evaluate.baselines import Histogram, LinearPrediction, NGram, rows_of
from phosphene.evaluate.data_kind import kind_of
from phosphene.evaluate.likelihood import likelihood
from phosphene.evaluate.score import Score
from phosphene.evaluate.scoring import evaluate_model
from tests.evaluate.toys import Independent


def baselines(test: Dataset, train: Dataset) -> dict[str, Score]:
    return kind_of(test.event, test).baselines(test, train)


def codes(n: int, t: int, levels: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(levels, size=(n, t)).astype(np.int64)


def text_set(x: np.ndarray, levels: int, split: str = "test") -> Dataset:
    letters = CharacterTokenizer("".join(map(chr, range(97, 97 + levels))))
    event = Event.tokens(x.shape[1], levels)
    tensor = torch.from_numpy(x.astype(np.uint8))
    return Dataset(name="toy", split=split, event=event, x=tensor, tokenizer=letters)


# -- text -------------------------------------------------------------------------------------


def by_hand(text: list[int], past: list[int], c: int, levels: int, order: int) -> float:
    """Witten and Bell's p(c | past) by counting, as the formula is written."""
    p = 1.0 / levels
    for k in range(min(order, len(past) + 1)):
        h = past[len(past) - k :]
        after = [text[i + k] for i in range(len(text) - k) if text[i : i + k] == h]
        if after:
            t = len(set(after))
            p = (after.count(c) + t * p) / (len(after) + t)
    return p


def test_the_ngram_is_its_formula() -> None:
    text = codes(1, 60, 3)
    model = NGram.fit(text, 3, order=4)
    x = codes(1, 12, 3, seed=1)
    found = model.log_prob(x)[0]
    for i, c in enumerate(x[0].tolist()):
        past = x[0, max(0, i - 3) : i].tolist()
        assert math.exp(found[i]) == pytest.approx(by_hand(text[0].tolist(), past, c, 3, 4))


@pytest.mark.parametrize("order", [1, 2, 5])
def test_the_ngram_sums_to_one_after_any_past(order: int) -> None:
    model = NGram.fit(codes(3, 40, 4), 4, order=order)
    for past in codes(5, 6, 5, seed=2).clip(max=3):
        x = np.array([[*past, c] for c in range(4)])
        assert np.exp(model.log_prob(x)[:, -1]).sum() == pytest.approx(1.0)
    assert np.exp(model.log_prob(np.arange(4)[:, None])).sum() == pytest.approx(1.0)


def test_counts_do_not_cross_rows() -> None:
    model = NGram.fit(np.array([[0, 0], [1, 1]]), 2, order=2)
    p = np.exp(model.log_prob(np.array([[0, 1], [0, 0]])))[:, 1]
    # After 0 only 0 was met: p(1|0) = (0 + 1 * 1/2) / (1 + 1).
    assert p == pytest.approx([0.25, 0.75])


def test_many_levels_shorten_the_ngram_instead_of_overflowing() -> None:
    model = NGram.fit(codes(1, 50, 100_000), 100_000)
    assert model.order == 3
    assert np.isfinite(model.log_prob(codes(2, 9, 100_000, seed=3))).all()


def test_overlapping_chunks_are_counted_once() -> None:
    train = ph.data.load("moby-dick", "train")
    rows = rows_of(train)
    assert rows.shape == (1, 16 * (len(train) - 1) + 256)
    assert np.array_equal(rows[0, :256], train.x[0].long().numpy())
    test = ph.data.load("moby-dick", "test")
    assert np.array_equal(rows_of(test), test.x.long().numpy())
    picked = train.subset(torch.arange(0, 100, 7))
    assert np.array_equal(rows_of(picked), picked.x.long().numpy())


def test_a_5gram_of_the_novel_beats_frequencies_by_far() -> None:
    scores = baselines(ph.data.load("moby-dick", "val"), ph.data.load("moby-dick", "train"))
    assert set(scores) == {"baseline_ngram", "baseline_unigram"}
    assert 1.55 < scores["baseline_ngram"].value < 1.65
    assert 3.0 < scores["baseline_unigram"].value < 3.2
    assert "1.60" in scores["baseline_ngram"].note  # joined to one text, each has its context


# -- sound ------------------------------------------------------------------------------------


def waves(n: int, t: int, levels: int = 256, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    random = np.random.RandomState(seed)
    phase = random.rand(n, 1) * 6 + 0.3 * np.arange(t)
    return mu_law_codes(0.3 * np.sin(phase) + noise * random.randn(n, t), levels).astype(np.int64)


@pytest.mark.parametrize("levels", [16, 256])
def test_linear_prediction_sums_to_one(levels: int) -> None:
    model = LinearPrediction.fit(waves(20, 100, levels), levels)
    past = waves(1, 30, levels, seed=1)
    x = np.concatenate([past.repeat(levels, 0), np.arange(levels)[:, None]], axis=1)
    p = np.exp(model.log_prob(x))
    assert p[:, -1].sum() == pytest.approx(1.0, abs=1e-12)
    assert np.allclose(p[:, :-1], p[:1, :-1])  # what comes after changes nothing before


def test_linear_prediction_is_its_formula() -> None:
    model = LinearPrediction.fit(waves(20, 100), 256)
    x = waves(1, 60, seed=5)
    y = signal_of(torch.from_numpy(x), 256)[0]
    a, (alpha, beta, w) = model.coefficients.numpy(), model.scale.tolist()
    padded = np.concatenate([np.zeros(16), y])
    mean = np.array([a @ padded[t : t + 16][::-1] for t in range(60)])
    residual = np.concatenate([np.zeros(32), np.abs(y - mean)])
    edge = signal_of(torch.arange(257) - 0.5, 256)
    edge[0], edge[-1] = -np.inf, np.inf

    def cumulated(v: float) -> float:
        return 0.5 * math.exp(v) if v < 0 else 1 - 0.5 * math.exp(-v)

    for t in (0, 3, 40, 59):
        c, b = int(x[0, t]), alpha * residual[t : t + 32].mean() + beta
        inside = cumulated((edge[c + 1] - mean[t]) / b) - cumulated((edge[c] - mean[t]) / b)
        p = (1 - w) * inside + w * math.exp(model.histogram.log_p[c])
        assert math.exp(model.log_prob(x)[0, t]) == pytest.approx(p, rel=1e-6)


def test_linear_prediction_beats_frequencies_on_a_tone() -> None:
    x = waves(20, 200, seed=7)
    lpc = -LinearPrediction.fit(waves(40, 200), 256).log_prob(x).mean()
    flat = -Histogram.fit(waves(40, 200), 256).log_prob(x).mean()
    assert lpc < flat - 0.5
    silence = np.full((4, 100), 128, dtype=np.int64)  # nothing to predict: still finite
    assert np.isfinite(LinearPrediction.fit(silence, 256).log_prob(x)).all()


def test_speech_is_predictable() -> None:
    test, train = ph.data.load("speech", "val"), ph.data.load("speech", "train")
    scores = baselines(test, train)
    assert set(scores) == {"baseline_lpc", "baseline_histogram"}
    assert 5.1 < scores["baseline_lpc"].value < 5.5
    assert 7.5 < scores["baseline_histogram"].value < 8.0


# -- in an evaluation -------------------------------------------------------------------------


def test_an_evaluation_of_text_shows_them_in_the_same_unit() -> None:
    test, train = text_set(codes(30, 8, 4), 4), text_set(codes(50, 8, 4, 1), 4, "train")
    model = Independent(test.event)
    scores = evaluate_model(model, test, train)
    expected = likelihood(model, test)["nll"].value / 8
    assert scores["nats_per_character"].value == pytest.approx(expected)
    assert scores["nats_per_character"].kind == "exact"
    assert {"baseline_ngram", "baseline_unigram"} <= set(scores)
    # Codes of characters are names: no distance between them means anything.
    assert not {"mse", "psnr", "frechet_distance", "kernel_distance"} & set(scores)


def test_an_evaluation_of_sound_shows_them_in_the_same_unit() -> None:
    sets = [
        Dataset(
            name="toy", split=split, event=Event.audio(64, 256), sample_rate=8000,
            x=torch.from_numpy(waves(30, 64, seed=seed).astype(np.uint8)),
        )
        for split, seed in (("test", 0), ("train", 1))
    ]  # fmt: skip
    scores = evaluate_model(Independent(sets[0].event), *sets)
    assert scores["bits_per_sample"].value == scores["bits_per_dim"].value
    assert {"baseline_lpc", "baseline_histogram"} <= set(scores)
    assert "frechet_distance" not in scores


def test_other_data_have_no_baselines() -> None:
    digits = ph.data.load("digits", "test")
    assert baselines(digits, digits) == {}
    moons = ph.data.load("moons", "test")
    assert baselines(moons, moons) == {}
