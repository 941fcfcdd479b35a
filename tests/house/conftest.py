"""A toy of each kind that is to come, installed as an outside package would be."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from phosphene import catalog
from phosphene.catalog import kind
from phosphene.cli.main import main
from phosphene.evaluate.metric import METRICS
from phosphene.evaluate.scorer import SCORERS
from phosphene.evaluate.section import SECTIONS

_MAIN = "import sys; from phosphene.cli.main import main; sys.exit(main())"
TOYS = Path(__file__).parent / "toys"


class House:
    """The command line with one more package: what it prints, and its exit code."""

    def __init__(self, toy: Path, place: Path) -> None:
        self.toy, self.place = toy, place
        self.facts = json.loads((toy / "facts.json").read_text())

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """A process of its own, which may be killed."""
        path = os.pathsep.join([str(self.toy), *sys.path])
        told = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", _MAIN, *argv],
            cwd=self.place, env=told, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Exit code, and what is on both streams, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.place), redirect_stdout(out), redirect_stderr(err):
            code = main(list(argv))
        return code, out.getvalue(), err.getvalue()

    def done(self, *argv: str) -> str:
        """What a command prints that must succeed."""
        code, out, err = self.run(*argv)
        assert code == 0, err
        return out


def forget() -> None:
    """What was found of outside packages is looked for again."""
    for found in (catalog._table, kind._table):
        found.cache_clear()


@pytest.fixture(params=sorted(p.name for p in TOYS.iterdir() if (p / "facts.json").exists()))
def house(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    toy = TOYS / request.param
    monkeypatch.syspath_prepend(str(toy))
    for registry in (METRICS, SCORERS, SECTIONS):
        monkeypatch.setattr(registry, "_found", {one.name: one for one in registry})
        monkeypatch.setattr(registry, "_whole", False)
    forget()
    yield House(toy, tmp_path)
    forget()
    kind._loaded.cache_clear()
