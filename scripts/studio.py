"""Runs that pictures are drawn from, trained by the command that is quoted."""

import shutil
import sys
from pathlib import Path
from typing import ClassVar

import torch

import phosphene as ph
from phosphene.cli.main import main as cli
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.environment.choosing import select_for

__all__ = ["RUNS", "Studio", "command", "finished"]

RUNS = Path("runs") / "docs"


class Studio:
    """Trains what a picture needs, once, and remembers how."""

    made: ClassVar[set[Path]] = set()  # pictures share runs: each is trained anew only once

    def __init__(self, budget: str | None, again: bool) -> None:
        self.budget, self.again = budget, again
        self.commands: list[dict[str, object]] = []

    def run(self, system: str, data: str | None = None, **settings: object) -> ph.Run:
        """A run of a system, by its recipe for the data, trained by the command that is quoted."""
        recipe = select(system, data)
        data, budget = data or recipe.on, self.budget or recipe.budget
        name = "-".join([system, data, *(f"{k}-{v}" for k, v in settings.items())])
        words = ["train", system, "--data", data, "--budget", budget, "--seed", "0"]
        for key, value in settings.items():
            words += [f"--model.{key.replace('_', '-')}", str(value)]
        return self.trained(words, name)

    def agent(self, system: str, env: str) -> ph.Run:
        """A run of an agent, by its recipe for the environment."""
        budget = self.budget or select_for(system, env).budget
        words = ["train", system, "--env", env, "--budget", budget, "--seed", "0"]
        return self.trained(words, f"{system}-{env}")

    def command(self, words: list[str]) -> None:
        """Run a command line in this process."""
        command(words)

    def trained(self, words: list[str], name: str) -> ph.Run:
        """The run of that name, trained by that command unless it is there already."""
        path = RUNS / name
        if self.again and path.exists() and path not in self.made:
            shutil.rmtree(path)
        self.made.add(path)
        if not finished(path):
            shutil.rmtree(path, ignore_errors=True)
            command([*words, "--name", f"docs/{name}"])
        run = ph.Run(path)
        counts = [row.get("environment_steps", row["step"]) for row in run.metrics if "step" in row]
        steps = round(max(counts))
        spent = run.config["budget"]  # of a run that was there already
        words[words.index("--budget") + 1] = spent
        self.commands.append({"command": f"phosphene {' '.join(words)}", "steps": steps})
        return run


def command(words: list[str]) -> None:
    """Run a command line in this process, as the user would have typed it."""
    before, sys.argv = sys.argv, ["phosphene", *words]
    try:
        with torch.enable_grad():
            code = cli(words)
    finally:
        sys.argv = before
    if code:
        raise SystemExit(code)


def finished(path: Path) -> bool:
    """Whether a run is there, and its training was not broken off."""
    if not (path / "run.json").is_file():
        return False
    return (ph.Run(path).metrics or [{}])[-1].get("finished") in ("budget", "patience")
