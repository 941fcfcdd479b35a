"""Bits per dimension of a run's bound on some test examples, without the rest of an evaluation.

python scripts/bits_of_run.py RUN -n 250
"""

import argparse
import math

import torch

import phosphene as ph
from phosphene.core.rng import generator
from phosphene.train.folder import Run

_ROWS = 50


def main() -> None:
    """Print the mean and its standard error over examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("-n", type=int, default=250)
    asked = parser.parse_args()
    try:
        run = Run(asked.run)
        model, test = run.model.eval(), ph.data.load(run.config["data"], "test")
    except ph.PhospheneError as error:
        raise SystemExit(str(error)) from None
    if asked.n < 2 or not hasattr(model, "elbo"):
        raise SystemExit(
            f"-n takes 2 or more of a model with a bound, got {asked.n} of {asked.run}"
        )
    rows = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[: asked.n]
    parts = []
    with torch.no_grad():
        for start in range(0, len(rows), _ROWS):
            x, context = test.take(rows[start : start + _ROWS])
            nats = model.elbo(x, context, generator=generator(0, start))
            parts.append(-nats.double() / (model.event.dimensions * math.log(2)))
    bits = torch.cat(parts)
    print(f"{float(bits.mean()):.4f} +- {float(bits.std() / len(bits) ** 0.5):.4f} bits")


if __name__ == "__main__":
    main()
