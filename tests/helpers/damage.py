"""Files of runs damaged at random, and what each command then says.

    python -m tests.helpers.damage --files 500 --seed 0

Each time a copy of a small run gets one damaged file (bits or bytes flipped, cut short, emptied,
filled with rubbish, taken away, numbers exchanged for absurd ones), and one command that reads it
is run. It must end well (exit code 0) or with one sentence (2): an internal error (1), a traceback
or a process that dies is a fault of ours.
"""

import argparse
import contextlib
import io
import json
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import phosphene as ph
from phosphene.cli.main import main

__all__ = ["Outcome", "damaged", "runs"]

MODEL = ("evaluate", "sample", "report", "resume", "export", "interpolate")
AGENT = ("evaluate", "play", "report", "resume", "export")


@dataclass(frozen=True)
class Outcome:
    """What came of one damaged file."""

    run: str
    file: str
    damage: str
    command: str
    code: int
    said: str


_QUICK = {"data": {"samples": 20, "particles": 1}, "env": {"episodes": 2}}


def runs(folder: Path) -> list[Path]:
    """Three small runs as today's code writes them: of a model, of an agent, in stages."""
    told = {"folder": folder, "threads": 1}
    made = [
        ph.train("vae", data="digits-binary", budget="20steps", name="vae", latent_dim=2,
                 hidden=(8,), ema=0.9, **told),
        ph.train("ppo", env="CartPole-v1", budget="200steps", name="ppo", hidden=(4,),
                 environments=4, steps=16, batch_size=32, **told),
        ph.train("vq-vae-prior", data="digits-binary", budget="20steps", name="vq-vae-prior",
                 model={"codes": {"codes": 4, "code_dim": 2, "hidden": 4},
                        "prior": {"width": 8, "depth": 1, "heads": 2}}, **told),
    ]  # fmt: skip
    for run in made:
        ph.evaluate(run, **_QUICK[run.kind.option])
    return [run.path for run in made]


def _bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 8))):
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)


def _bytes(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at : at + 8] = rng.randbytes(8)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _emptied(data: bytearray, rng: random.Random) -> None:
    data.clear()


def _longer(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(50)


def _number(data: bytearray, rng: random.Random) -> None:
    """A number, a word or an opening bracket of a text exchanged for something else."""
    found = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"]*"|\[|\{|true|false|null', bytes(data)))
    if not found:
        return
    match = rng.choice(found)
    absurd = [b"-1", b"1e999", b"99999999999999999999", b'"x"', b"null", b"[]", b"{}", b"0", b"1.5"]
    data[match.start() : match.end()] = rng.choice(absurd)


DAMAGES: dict[str, Callable[[bytearray, random.Random], None]] = {
    "bits": _bits, "bytes": _bytes, "cut": _cut, "empty": _emptied, "longer": _longer,
    "number": _number,
}  # fmt: skip


def _command(name: str, run: Path) -> list[str]:
    system = run.name
    option = "env" if system == "ppo" else "data"
    quick = [word for n, value in _QUICK[option].items() for word in (f"--{n}", str(value))]
    return {
        "evaluate": ["evaluate", str(run), *quick],
        "sample": ["sample", str(run), "-n", "2"],
        "interpolate": ["sample", str(run), "-n", "2", "--interpolate"],
        "report": ["report", str(run)],
        "export": ["export", str(run), "--format", "torchscript"],
        "play": ["play", str(run), "--most", "5"],
        "resume": ["train", system, "--name", run.name, "--resume", "--budget", "30steps",
                   "--threads", "1"],
    }[name]  # fmt: skip


def damaged(run: Path, rng: random.Random) -> Outcome:
    """Damage one file of a copy of a run and give it to one command."""
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        copy = Path("runs") / run.name
        shutil.copytree(run, copy)
        files = sorted(p for p in copy.rglob("*") if p.is_file() and p.name != ".lock")
        # What is small and read by all commands as often as what is large.
        path = rng.choice(files)
        if rng.random() < 0.4:
            path = rng.choice([p for p in files if p.suffix in (".json", ".jsonl", "")])
        kind = rng.choice([*DAMAGES, "gone"])
        if kind == "gone":
            path.unlink()
        else:
            data = bytearray(path.read_bytes())
            if data:
                DAMAGES[kind](data, rng)
            path.write_bytes(data)
        command = rng.choice(AGENT if run.name == "ppo" else MODEL)
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(_command(command, copy))
        return Outcome(run.name, str(path.relative_to(copy)), kind, command, code, said.getvalue())


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, counts = runs(Path(folder)), Counter[int]()
        for k in range(arguments.files):
            outcome = damaged(made[k % len(made)], random.Random(arguments.seed * 100_000 + k))
            counts[outcome.code] += 1
            if outcome.code not in (0, 2):
                told = outcome.said.strip().splitlines()[-1:]
                print(json.dumps({**outcome.__dict__, "said": told, "k": k}))
    print({"ended_well": counts[0], "one_sentence": counts[2], "internal_errors": counts[1]})


if __name__ == "__main__":
    _main()
