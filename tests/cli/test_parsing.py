"""tyro's boxes become one sentence each; unknown options are met with the nearest one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest
from tyro.conf import Positional

from phosphene.cli.parsing import expressible, flags, mentioned, options, parse
from phosphene.core.errors import ConfigError
from phosphene.core.settings import argument_help


@dataclass(frozen=True, kw_only=True)
class Part:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    hidden: tuple[int, ...] = (3,)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    run: Positional[str]
    seed: int = 0
    device: Literal["cpu", "cuda"] = "cpu"
    train: Part = field(default=Part())


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["a", "--seeed", "1"], "unknown option '--seeed'; did you mean '--seed'?"),
        (["a", "--lr", "1"], "unknown option '--lr'; did you mean '--train.lr'?"),
        (["a", "--seed", "x"], "--seed: expected a whole number, got 'x'"),
        (["a", "--train.lr", "x"], "--train.lr: expected a number, got 'x'"),
        (["a", "--seed"], "--seed needs a value"),
        (["a", "--train.betas", "1"], "--train.betas needs 2 values"),
        (["a", "--device", "gpu"], "--device cannot be 'gpu'; did you mean 'cpu'?"),
        (["a", "--train.hidden", "1", "b"], "--train.hidden: cannot be read from '1', 'b'"),
        (["a", "b"], "unexpected argument 'b'"),
        ([], "phosphene x needs STR; 'phosphene x --help' says what that is"),
    ],
)
def test_errors_are_one_sentence(argv, sentence):
    with pytest.raises(ConfigError) as error:
        parse(Arguments, argv, "phosphene x")
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)
    assert not set(str(error.value)) & set("│╭╰─")


def test_values_are_parsed_wherever_they_stand():
    value = parse(Arguments, ["--train.hidden", "4", "5", "--seed=3", "a"], "x")
    assert (value.run, value.seed, value.train.hidden) == ("a", 3, (4, 5))


def test_unknown_options_can_be_left_for_later():
    assert parse(Arguments, ["a", "--model.width", "3"], "x", strict=False).run == "a"


def test_options_of_a_made_class():
    made = options(
        "Made", {"width": int | None, "on": bool}, {"width": "Of it."}, {"width": None, "on": True}
    )
    assert flags(made) == ["--width", "--on"]
    assert parse(made, ["--no-on", "--width", "3"], "x") == made(width=3, on=False)


def test_mentioned_options():
    argv = ["a", "--train.batch_size=3", "--no-on", "--train.no-flag"]
    for flag in ("--train.batch-size", "--on", "--train.flag"):
        assert mentioned(argv, flag)
    assert not mentioned(argv, "--train.batch")


def test_types_that_fit_a_command_line():
    assert expressible(tuple[int, ...] | None)
    assert expressible(Sequence[int])
    assert expressible(Literal["a", "b"])
    assert not expressible(dict)
    assert not expressible(list[int])


def test_help_of_arguments_is_read_from_docstrings():
    doc = """Title.

    Args:
        width: First line,
            second line: with a colon.
        depth (int): Another.

    Raises:
        ConfigError: Not an argument.
    """
    assert argument_help(doc) == {
        "width": "First line, second line: with a colon.",
        "depth": "Another.",
    }
    assert argument_help(None) == {}
