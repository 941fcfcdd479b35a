"""Do 15 steps of DPM-Solver++ give as good samples as all steps of a run's chain?

    python scripts/compare_steps.py RUN -n 200

Both samplers begin with the same noise and labels, and the difference of their kernel distances to
test data is paired. Features are those by which samples of the run are scored.
"""

import argparse
import time
from typing import Any

import torch
from torch import Tensor

import phosphene as ph
from phosphene.core.rng import generator
from phosphene.evaluate.distances import kernel_distance, paired_difference
from phosphene.evaluate.features import default_name, make_features
from phosphene.train.folder import Run


def main() -> None:
    """Print both distances, and their paired difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("-n", type=int, default=200)
    asked = parser.parse_args()
    run = Run(asked.run)
    train, test = (ph.data.load(run.config["data"], split) for split in ("train", "test"))
    extract = make_features(default_name(test), train)
    model = run.model.eval()
    rows = torch.arange(asked.n) % len(test)
    context = test.take(rows)[1] if model.context else None
    real = extract(test.x)

    def features(**how: Any) -> Tensor:
        begun = time.process_time()
        x = model.sample(asked.n, context, generator=generator(8), **how)
        found = extract(x)
        distance = kernel_distance(found, real)
        print(how, f"kernel distance {distance[0]:.4f}, {time.process_time() - begun:.0f} CPU s")
        return found

    few = features(sampler="dpm++", steps=15)
    many = features(sampler="ancestral", steps=model.usual(1000))
    found, error = paired_difference(few, many, real)
    print(f"paired difference {found:.4f} +- {error:.4f}, {found / error:.1f} standard errors")


if __name__ == "__main__":
    main()
