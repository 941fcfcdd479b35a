"""A run that is stopped and resumed ends in the same bits as one that never stopped.

python examples/resume.py
"""

from pathlib import Path

import torch

import phosphene as ph


def main(folder: str = "runs") -> None:
    """Train once whole and once in two parts, and compare the weights."""
    common = {"data": "digits-binary", "seed": 0, "threads": 1, "folder": folder}
    whole = ph.train("vae", name="resume-whole", budget="40steps", **common)

    first = ph.train("vae", name="resume-parts", budget="15steps", **common)
    assert (Path(first.path) / "checkpoint" / "latest").is_file()
    # The same run, with a larger budget. After a crash the budget may stay as it was.
    parts = ph.train("vae", name="resume-parts", budget="40steps", resume=True, **common)

    a, b = (ph.load(run.path, weights="last").state_dict() for run in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)
    print("40 steps == 15 steps + resume + 25 steps, bit for bit:", parts.path)


if __name__ == "__main__":
    main()
