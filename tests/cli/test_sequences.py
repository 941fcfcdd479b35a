"""Runs of text, sound and series on the command line: what they write can be read and heard."""

import html
import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.core.errors import ConfigError, EventError
from phosphene.data.sound import wav_bytes
from phosphene.data.tokenizers import CharacterTokenizer
from phosphene.evaluate import views
from phosphene.subjects.dataset.drawing import complete, inpaint, sample
from phosphene.subjects.dataset.recorded_format import tokenizer_of
from phosphene.subjects.dataset.report import write_report
from phosphene.subjects.dataset.writing import texts
from phosphene.train.folder import Run

ONE = {"order": "raster", "orders": 1, "masks": 1}
SMALL = {"budget": "5steps", "threads": 1, "hidden": (16,), "batch_size": 8, **ONE}


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sequences")


@pytest.fixture(scope="module")
def book(work) -> Run:
    """A model of <b> and three letters, 16 at a time."""
    words = np.random.RandomState(0).choice(["ab ", "<b> ", "cab\n"], 500)
    (work / "book.txt").write_text("".join(words))
    data = f"text:{work / 'book.txt'}?length=16"
    return ph.train("made", data=data, name="book", folder=work, **SMALL)


@pytest.fixture(scope="module")
def tune(work) -> Run:
    """A model of 64 samples in 16 levels, at 4 kHz."""
    time = np.arange(8000) / 4000
    (work / "tune.wav").write_bytes(wav_bytes(0.5 * np.sin(2 * np.pi * 200 * time), 4000))
    data = f"wav:{work / 'tune.wav'}?length=64&rate=4000&levels=16"
    return ph.train("made", data=data, name="tune", folder=work, **SMALL)


@pytest.fixture(scope="module")
def digits(work) -> Run:
    return ph.train("made", data="digits-binary", name="digits", folder=work, **SMALL)


@pytest.fixture(scope="module")
def series(work) -> Run:
    """A model of 12 reals in a row."""
    x = np.random.RandomState(0).randn(60, 12).cumsum(1).astype(np.float32)
    np.savez(work / "series.npz", x=x)
    data = f"npz:{work / 'series.npz'}"
    return ph.train("made", data=data, name="series", folder=work, **SMALL)


# -- text -------------------------------------------------------------------------------------


def test_samples_of_text_are_text_without_the_data(phosphene, book, here, work):
    done = phosphene("sample", book.path, "-n", "2", "--out", "t.txt")
    assert done.code == 0, done.err
    found = Path("t.txt").read_text()
    assert found.startswith("=== 1 ===\n")
    assert set(found.split("\n", 1)[1].split("=== 2 ===")[0]) <= set("<>abc \n")
    assert done.out.endswith("t.txt\n")
    assert tokenizer_of(Run(book.path)) == CharacterTokenizer("\n <>abc")
    # The text itself is not needed any more.
    (work / "book.txt").rename(work / "moved.txt")
    try:
        done = phosphene("sample", book.path, "-n", "3", "--json", "--out", "u.txt", "--npz")
    finally:
        (work / "moved.txt").rename(work / "book.txt")
    assert done.json["shape"] == [3, 16]
    assert [len(t) for t in done.json["texts"]] == [16, 16, 16]
    assert np.load("u.npz")["x"].dtype == np.uint8


def test_by_default_a_few_texts_are_drawn_into_the_run(phosphene, book):
    done = phosphene("sample", book.path, "--json")
    assert done.json["written"] == [str(book.path / "samples" / "samples.txt")]
    assert len(done.json["texts"]) == 4


def test_a_prompt_is_kept_and_gone_on_from(phosphene, book, here):
    done = phosphene("sample", book.path, "--prompt", "cab <b>", "-n", "3", "--json")
    assert all(t.startswith("cab <b>") for t in done.json["texts"])
    assert len(set(done.json["texts"])) > 1
    one = complete(book, "ab", 5, temperature=0)
    assert len(set(texts(book, one))) == 1


def test_greedy_and_narrow_samples_differ_from_free_ones(book):
    free = sample(book, 6)
    assert torch.equal(sample(book, 6, temperature=1.0).x, free.x)
    greedy = sample(book, 6, temperature=0)
    assert (greedy.x == greedy.x[0]).all()
    assert torch.equal(sample(book, 6, top_k=1).x, greedy.x)
    assert torch.equal(sample(book, 6, top_p=1e-6).x, greedy.x)
    assert not torch.equal(free.x, greedy.x)


def test_surprise_adds_up_to_the_likelihood(book):
    x = ph.data.load(book.config["data"], "test").x[:5]
    nats = views.surprise(book.model, x)
    torch.testing.assert_close(
        nats.sum(1), -book.model.log_prob(x).double(), atol=1e-4, rtol=0, check_dtype=False
    )


def test_scores_of_text_are_shown_beside_their_baselines(phosphene, book):
    done = phosphene("evaluate", book.path, "--json")
    scores = done.json
    assert {"nll", "nats_per_character", "baseline_ngram", "baseline_unigram"} <= set(scores)
    assert scores["nats_per_character"]["value"] == pytest.approx(scores["nll"]["value"] / 16)
    assert "nats" in phosphene("evaluate", book.path).out


def test_the_report_of_text_shows_it_escaped(phosphene, book):
    page = self_contained(write_report(book, {}))
    for title in ("Samples", "Continuations", "Surprise"):
        assert f"<h2>{title}</h2>" in page
    assert "&lt;b&gt;" in page
    assert "<b> " not in re.sub(r"<figcaption>.*?</figcaption>", "", page)
    shown = re.findall(r'<pre class="text">(.*?)</pre>', page, flags=re.S)
    given = next(t for t in shown if len(html.unescape(t)) == 8)
    whole = ph.data.load(book.config["data"], "test")
    assert html.unescape(given) in whole.tokenizer.decode(whole.x)


# -- sound ------------------------------------------------------------------------------------


def test_samples_of_sound_can_be_heard(phosphene, tune, here):
    done = phosphene("sample", tune.path, "-n", "2", "--out", "a/s.wav", "--json")
    assert done.json["written"] == ["a/s-1.wav", "a/s-2.wav"]
    with wave.open("a/s-1.wav") as file:
        found = (file.getframerate(), file.getnframes(), file.getsampwidth(), file.getnchannels())
    assert found == (4000, 64, 2, 1)
    assert phosphene("sample", tune.path, "-n", "1", "--out", "one.wav").out == "one.wav\n"
    assert phosphene("sample", tune.path, "-n", "5", "--out", "w.png").code == 0
    assert Image.open("w.png").size[0] > 500
    names = phosphene("sample", tune.path, "--json").json["written"]
    assert [Path(n).name for n in names] == [f"samples-{k}.wav" for k in (1, 2, 3, 4)]


def test_the_report_of_sound_plays_it(tune):
    page = self_contained(write_report(tune, {}))
    players = re.findall(r"<audio [^>]*>", page)
    assert len(players) == 12  # four windows, four samples, four continuations
    assert all("controls" in p and "aria-label" in p for p in players)
    assert "media-src data:" in page


def test_scores_of_sound_are_shown_beside_their_baselines(phosphene, tune):
    scores = phosphene("evaluate", tune.path, "--json").json
    assert {"bits_per_sample", "baseline_lpc", "baseline_histogram"} <= set(scores)


# -- series and images ------------------------------------------------------------------------


def test_series_are_drawn_as_lines(phosphene, series, here):
    assert phosphene("sample", series.path, "-n", "6", "--out", "s.png").code == 0
    assert Image.open("s.png").size[0] > 500
    page = self_contained(write_report(series, {}))
    assert page.count("<svg") >= 2


def test_lower_halves_are_drawn_given_the_upper(phosphene, digits, here):
    drawn = inpaint(digits, 3, copies=4)
    rows = drawn.x.view(3, 6, 1, 8, 8)
    assert torch.equal(rows[:, 2:, :, :4], rows[:, :1, :, :4].expand(-1, 4, -1, -1, -1))
    assert torch.equal(rows[:, 1, :, :4], rows[:, 0, :, :4])
    assert not rows[:, 1, :, 4:].any()
    assert not torch.equal(rows[:, 2, :, 4:], rows[:, 3, :, 4:])
    assert phosphene("sample", digits.path, "--inpaint", "-n", "2", "--out", "i.png").code == 0


def self_contained(path: Path) -> str:
    """The page, which fetches nothing."""
    page = path.read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)', page)
    assert all(s.startswith(("data:", "#")) for s in sources)
    assert "http-equiv" in page
    assert "http://" not in re.sub(r"http://www\.w3\.org\S+", "", page)
    return page


def test_data_of_sequences_are_described(phosphene, book, tune, here, work):
    done = phosphene("data", f"text:{work / 'book.txt'}?length=16", "--json")
    assert set(done.json["first example"]) <= set("<>abc \n")
    assert phosphene("data", "moby-dick", "--split", "test").code == 0
    Path("tags.txt").write_text("[/b] [red] " * 60)  # no markup for the terminal
    assert "[/b] [red] [/b]" in phosphene("data", "text:tags.txt?length=16").out
    done = phosphene("data", f"wav:{work / 'tune.wav'}?length=64&rate=4000", "--out", "w.png")
    assert "4000 Hz" in done.out
    assert Image.open("w.png").size[0] > 500


# -- what a user can get wrong ----------------------------------------------------------------


def test_questions_that_make_no_sense_are_refused(phosphene, book, tune, digits, trained, here):
    for argv, parts in (
        ((book.path, "--temperature", "-0.5"), ("temperature must be 0", "-0.5")),
        ((book.path, "--temperature=-1"), ("temperature must be 0", "-1")),
        ((digits.path, "--temperature", "-1"), ("temperature must be 0",)),
        ((book.path, "--top-k", "0"), ("--top-k must be at least 1", "got 0")),
        ((book.path, "--top-p", "0"), ("top_p must lie in (0, 1], got 0",)),
        ((book.path, "--top-p", "1.5"), ("top_p", "1.5")),
        ((book.path, "--prompt", "abx"), ("character 'x' at position 2", "'<'")),
        ((book.path, "--prompt", ""), ("--prompt is empty",)),
        ((book.path, "--prompt", "a" * 16), ("prompt holds 16 symbols", "16")),
        ((book.path, "--inpaint"), ("not images", "--prompt")),
        ((book.path, "--out", "x.png"), (".txt or .npz",)),
        ((book.path, "--interpolate"), ("has no codes",)),
        ((tune.path, "--prompt", "a"), ("not text",)),
        ((tune.path, "--inpaint"), ("not images",)),
        ((tune.path, "--out", "x.txt"), (".wav or .png or .npz",)),
        ((digits.path, "--prompt", "a"), ("not text",)),
        ((digits.path, "--inpaint", "--prompt", "a"), ("one at a time",)),
        ((trained.path, "--inpaint"), ("VAE", "does not inpaint")),
        ((trained.path, "--top-k", "2"), ("VAE has no sampling top-k",)),
    ):
        done = phosphene("sample", *argv)
        assert done.code == 2, (argv, done)
        assert done.out == ""
        assert len(done.err.splitlines()) == 1, done.err
        assert "Traceback" not in done.err
        for part in parts:
            assert part in done.err, (argv, done.err)
    assert list(here.iterdir()) == []


def test_data_that_cannot_be_trained_on_are_refused(phosphene, here):
    Path("short.txt").write_text("too short")
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes(b"\xe9" * 2000)
    Path("no.wav").write_bytes(b"no sound")
    for data, parts in (
        ("text:none.txt", ("none.txt", "does not exist")),
        ("text:empty.txt", ("empty.txt", "it is empty")),
        ("text:short.txt", ("9 characters", "length must be 3 or less")),
        ("text:latin.txt", ("not UTF-8",)),
        ("text:short.txt?level=words", ("level of text 'words'",)),
        ("wav:no.wav", ("no.wav", "cannot be read as WAV")),
        ("wav:.", ("no.wav",)),
    ):
        done = phosphene("train", "made", "--data", data, "--budget", "1steps")
        assert (done.code, done.out) == (2, "")
        assert len(done.err.splitlines()) == 1
        for part in parts:
            assert part in done.err, done.err
    assert not Path("runs").exists()


def test_the_same_refusals_from_python(book, digits):
    with pytest.raises(ConfigError, match="not text"):
        complete(digits, "a")
    with pytest.raises(ConfigError, match="not images"):
        inpaint(book)
    with pytest.raises(EventError, match="does not inpaint"):
        views.filled(torch.nn.Identity(), torch.zeros(1, 2), torch.ones(2, dtype=torch.bool))


def test_run_json_holds_what_decoding_needs(book, tune, digits):
    stored = [json.loads((r.path / "run.json").read_text()) for r in (book, tune, digits)]
    assert stored[0]["tokenizer"] == {"type": "CharacterTokenizer", "vocabulary": "\n <>abc"}
    assert [s["sample_rate"] for s in stored] == [None, 4000, None]
