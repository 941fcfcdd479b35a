"""Train the small digit classifier that ships with the package, and print its checksum.

Data: the MNIST training split that the package embeds. Run ``python scripts/build_classifier.py``,
then copy the printed checksum to ``phosphene/evaluate/features.py``. It takes about a minute.
"""

import argparse
import hashlib
import math
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

import phosphene.data
from phosphene.core.rng import generator, seeded
from phosphene.evaluate.features import Classifier

ASSET = Path(__file__).parents[1] / "src/phosphene/evaluate/assets/classifier.safetensors"


def augment(x: Tensor, g: torch.Generator) -> Tensor:
    """Shift by up to 2 pixels, rotate by up to 10 degrees, scale by up to 10 %, binarize half."""
    n = len(x)
    angle = (torch.rand(n, generator=g) * 2 - 1) * math.radians(10)
    scale = 1 + (torch.rand(n, generator=g) * 2 - 1) * 0.1
    shift = (torch.rand(n, 2, generator=g) * 2 - 1) * (4 / 28)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    theta = torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, align_corners=False)
    binary = (torch.rand(x.shape, generator=g) < x).float()
    return torch.where(torch.rand(n, 1, 1, 1, generator=g) < 0.5, binary, x)


def train(x: Tensor, y: Tensor, epochs: int, batch: int) -> Classifier:
    with seeded(0):
        model = Classifier()
    steps = epochs * (len(x) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        g = generator(0, step)
        rows = torch.randint(len(x), (batch,), generator=g)
        logits = model(augment(x[rows], g))
        loss = F.cross_entropy(logits, y[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}/{steps} loss {loss.item():.3f}", flush=True)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    data = phosphene.data.load("mnist", "train")
    assert data.y is not None
    model = train(data.x.float() / 255, data.y, args.epochs, args.batch)
    raw = save({k: v.contiguous() for k, v in model.state_dict().items()})
    ASSET.parent.mkdir(exist_ok=True)
    ASSET.write_bytes(raw)
    for name in ("mnist", "mnist-binary"):
        test = phosphene.data.load(name, "test")
        assert test.y is not None
        assert test.event.levels is not None
        with torch.no_grad():
            guess = model(test.x.float() / (test.event.levels - 1)).argmax(1)
        print(f"{name}: test accuracy {float((guess == test.y).float().mean()):.4f}")
    print(f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()}")


if __name__ == "__main__":
    main()
