"""The walks through the code pass the stops that the page names, in that order."""

import inspect
import re
import shlex
import sys
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from PIL import Image

import phosphene
from phosphene.cli.main import main

SOURCE = Path(phosphene.__file__).parent
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "walks.md"
STOP = re.compile(r"^(\d+)\. `(\S+\.py)` `([\w.]+)`: (.+?)(?=^\d+\. |\Z)", re.M | re.S)


def walks() -> dict[str, list[tuple[str, str]]]:
    """The stops of each command: file and qualified name."""
    sections = re.split(r"^## `(.+)`$", PAGE.read_text(), flags=re.M)[1:]
    found = {}
    for command, text in zip(sections[::2], sections[1::2], strict=True):
        stops = STOP.findall(text)
        assert [int(number) for number, *_ in stops] == list(range(1, len(stops) + 1))
        assert all(sentence.strip().endswith(".") for *_, sentence in stops)
        found[command] = [(file, name) for _, file, name, _ in stops]
    return found


WALKS = walks()
QUICK = {
    "train vae": ["--budget", "3steps", "--threads", "1", "--precision", "fp32", "--name", "v"],
    "train ppo": ["--budget", "1000steps"],
    "evaluate": ["--samples", "20", "--particles", "3"],
}
"""What makes a command quick, by how it begins; probes would take steps before the first."""


def called(words: list[str]) -> list[tuple[str, str]]:
    """What a command calls, in the order of the first calls."""
    seen: dict[tuple[str, str], None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        defined = code.co_flags & inspect.CO_OPTIMIZED  # the body of a class or module is not
        if event == "call" and defined and code.co_filename.startswith(f"{SOURCE}/"):
            file = code.co_filename.removeprefix(f"{SOURCE}/")
            seen.setdefault((file, code.co_qualname.removesuffix(".__init__")))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        assert main(words) == 0
    finally:
        sys.setprofile(before)
    return list(seen)


def test_a_walk_has_at_most_ten_stops():
    assert len(WALKS) == 3
    assert all(0 < len(stops) <= 10 for stops in WALKS.values())


@pytest.mark.parametrize("command", WALKS)
def test_a_command_passes_its_stops(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    (tmp_path / "x").mkdir()
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "x" / f"{k:02}.png")
    if "RUN" in command:
        assert main(["train", "vae", "--data", "folder:x", *QUICK["train vae"]]) == 0
    _, *words = shlex.split(command.replace("RUN", "v"))
    (quick,) = (more for begin, more in QUICK.items() if " ".join(words).startswith(begin))
    order = called([*words, *quick])
    passed = [order.index(stop) if stop in order else None for stop in WALKS[command]]
    missed = [stop for stop, at in zip(WALKS[command], passed, strict=True) if at is None]
    assert not missed
    assert passed == sorted(passed), "the stops are passed in another order"
