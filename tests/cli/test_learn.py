"""``phosphene learn``: every lesson runs, writes figure and numbers, and refuses nonsense."""

import json
import math

import pytest
from PIL import Image

from phosphene.api.learn import learn, lessons, options_of
from phosphene.cli.main import main
from phosphene.core.errors import ConfigError, UnknownNameError

QUICK = {
    "backpropagation": ["--epochs", "1", "--width", "4"],
    "adding-problem-lstm": ["--steps", "3"],
}
"""Lessons that train for more than a second are cut short here."""


@pytest.mark.parametrize("topic", lessons())
def test_a_lesson_writes_its_figure_and_its_numbers(topic, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", topic, *QUICK.get(topic, [])]) == 0
    out = capsys.readouterr().out
    told = json.loads((tmp_path / "lessons" / topic / "numbers.json").read_text())
    assert told["lesson"] == topic
    assert told["numbers"]
    for name, value in told["numbers"].items():
        assert name in out
        assert not isinstance(value, float) or math.isfinite(value)
    with Image.open(tmp_path / "lessons" / topic / "figure.png") as figure:
        assert min(figure.size) > 300
        assert len(set(figure.convert("L").resize((64, 64)).tobytes())) > 8, "it is blank"


def test_without_a_topic_they_are_listed(capsys):
    assert main(["learn"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in lessons())
    assert main(["learn", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == lessons()


def test_help_names_the_lesson_and_says_how_they_are_listed(capsys):
    assert main(["learn", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: phosphene learn [-h] ")
    assert "without a name, they are listed" in " ".join(out.replace("│", " ").split())
    assert main(["learn", "upsampling", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: phosphene learn upsampling [-h] ")
    assert "TOPIC" not in out.partition("╭")[0].partition("\n\n")[0]
    assert "--stride" in out


def test_the_same_seed_gives_the_same_numbers():
    one, two, other = (learn("maximum-likelihood", seed=s).numbers for s in (0, 0, 1))
    assert one == two != other


def test_json_prints_the_numbers(tmp_path, capsys):
    assert (
        main(["learn", "upsampling", "--stride", "3", "--json", "--out", str(tmp_path / "x")]) == 0
    )
    assert json.loads(capsys.readouterr().out)["copies, kernel 3: most less fewest"] == 0
    assert {p.name for p in (tmp_path / "x").iterdir()} == {"figure.png", "numbers.json"}


@pytest.mark.parametrize(("argv", "words"), [
    (["perceptrom"], "unknown lesson 'perceptrom'; did you mean 'perceptron'?"),
    (["vae"], "'vae' is a model, not a lesson"),
    (["output-size"], "'output-size' is a proof, not a lesson"),
    (["upsampling", "--stride", "0"], "stride must be"),
    (["upsampling", "--strid", "2"], "did you mean '--stride'?"),
    (["upsampling", "--data", "iris-of-nobody"], "iris-of-nobody"),
    (["upsampling", "--data", "moons"], "has no pictures"),
    (["upsampling", "--picture", "100000"], "there is no 100000"),
    (["backpropagation", "--network", "transformer"], "unknown network 'transformer'"),
    (["backpropagation", "--data", "bars3"], ""),
    (["upsampling", "--seed", "-1"], "seed"),
    (["--stride", "2"], "stride"),
])  # fmt: skip
def test_mistakes_are_one_sentence(argv, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", *argv]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("phosphene: ")
    assert "\n" not in error
    assert words in error
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_file_in_the_folders_place_is_kept(tmp_path, capsys):
    (tmp_path / "x").write_text("mine")
    assert main(["learn", "upsampling", "--out", str(tmp_path / "x")]) == 2
    assert "is a file; --out takes a folder" in capsys.readouterr().err
    assert (tmp_path / "x").read_text() == "mine"


def test_from_python():
    assert "stride" in options_of("upsampling")
    with pytest.raises(UnknownNameError, match="option of the lesson 'upsampling' 'strid'"):
        learn("upsampling", strid=2)
    with pytest.raises(ConfigError, match="stride"):
        learn("upsampling", stride=0)
