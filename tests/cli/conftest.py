"""One small trained run for all tests of the command line, and a way to call it."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from phosphene.api.train import train
from phosphene.cli.main import main
from phosphene.train.folder import Run


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def phosphene(capsys, monkeypatch):
    """Call the command line in this process."""
    monkeypatch.delenv("PHOSPHENE_TRACEBACK", raising=False)
    monkeypatch.setenv("COLUMNS", "140")

    def call(*argv: object) -> Result:
        capsys.readouterr()
        code = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


def _train(folder: Path, name: str, **options) -> Run:
    small = {"hidden": (32,), "latent_dim": 4, "log_every": 5, "threads": 1}
    options = {"data": "digits-binary", "budget": "40steps", **small, **options}
    return train("vae", name=name, folder=folder, **options)


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work") / "runs"


@pytest.fixture(scope="session")
def trained(runs) -> Run:
    """A VAE of binary 8x8 images after 40 steps; read only."""
    return _train(runs, "images", evaluate_every=20)


@pytest.fixture(scope="session")
def plane(runs) -> Run:
    """A VAE of points in the plane after 40 steps; read only."""
    return _train(runs, "plane", data="moons")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
