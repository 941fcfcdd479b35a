"""Train on a folder of your own images; subfolders are classes.

python examples/own_data.py                    # draws a small folder of discs and bars first
python examples/own_data.py ./photos 60s
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import phosphene as ph


def draw_folder(folder: Path, n: int = 60) -> None:
    """Discs and bars of random size and place: 32x32, gray, in two subfolders."""
    random = np.random.default_rng(0)
    across, down = np.meshgrid(np.arange(32), np.arange(32))
    for k in range(n):
        x, y, r = *random.uniform(10, 22, size=2), random.uniform(4, 9)
        disc = np.hypot(across - x, down - y) < r
        bar = (abs(across - x) < r / 2) & (abs(down - y) < 1.5 * r)
        for name, shape in (("disc", disc), ("bar", bar)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray((shape * 255).astype(np.uint8)).save(folder / name / f"{k:03d}.png")


def main(folder: str = "", budget: str = "100steps") -> None:
    """Look at a folder, train on it, score."""
    if not folder:
        folder = "shapes"
        draw_folder(Path(folder))
    # 16 pixels and 16 grey levels are enough here; photographs want size=64&channels=3.
    data = f"folder:{folder}?size=16&levels=16"
    train = ph.data.load(data, "train")
    print(f"{len(train)} training examples, {train.event}, classes {', '.join(train.classes)}")
    for note in train.notes:  # what was skipped, converted or cropped
        print("note:", note)

    run = ph.train("vae", data=data, budget=budget, latent_dim=8)
    scores = ph.evaluate(run, samples=100, particles=20)
    print(f"{run.path}: {scores['bits_per_dim'].value:.3f} bits per dimension")


if __name__ == "__main__":
    main(*sys.argv[1:])
