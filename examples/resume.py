"""A run that is stopped and resumed ends in the same bits as one that never stopped.

python examples/resume.py
"""

import signal

import torch

import phosphene as ph
from phosphene.core.progress import StepEnd, TrainingEvent


def interrupt(event: TrainingEvent) -> None:
    """Press Ctrl-C after 20 of the 40 steps."""
    if isinstance(event, StepEnd) and event.step == 20:
        signal.raise_signal(signal.SIGINT)


def main(folder: str = "runs") -> None:
    """Train once whole and once in two sittings, and compare the weights."""
    common = {"data": "digits-binary", "budget": "40steps", "threads": 1, "folder": folder}
    whole = ph.train("vae", name="resume-whole", **common)
    first = ph.train("vae", name="resume-parts", listeners=[interrupt], **common)
    assert first.metrics[-1]["finished"] == "interrupted"
    parts = ph.train("vae", name="resume-parts", resume=True, **common)

    a, b = (ph.load(run.path, weights="last").state_dict() for run in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)
    print("40 steps == 20 steps, Ctrl-C, resume, 20 steps; bit for bit:", parts.path)


if __name__ == "__main__":
    main()
