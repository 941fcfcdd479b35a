"""What a weight of 4 on the KL does to the mutual information gap on sprites, over five seeds.

    pytest -m slow -s tests/learning/test_disentanglement.py

prints the gap of every seed at weights 1 and 4: the same small network, first weights and batches,
for the same number of steps. The codes are of all sprites, whose five factors take every
combination.
"""

import pytest
import torch

import phosphene as ph
from phosphene.evaluate.disentanglement import mutual_information_gap

SEEDS = (1, 2, 3, 4, 5)
SMALL = {"network": "mlp", "hidden": (256, 256)}  # 2,000 steps take half a minute of one core


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_weight_of_four_on_the_kl_widens_the_mutual_information_gap(tmp_path):
    parts = [ph.data.load("sprites-binary", s) for s in ("train", "validation", "test")]
    x, factors = torch.cat([p.x for p in parts]), torch.cat([p.factors for p in parts])
    gaps = torch.zeros(len(SEEDS), 2)
    print("\nseed  beta 1  beta 4")
    for i, seed in enumerate(SEEDS):
        for j, beta in enumerate((1.0, 4.0)):
            run = ph.train(
                "beta-vae", data="sprites-binary", beta=beta, seed=seed, budget="2000steps",
                model=SMALL, batch_size=64, precision="bf16", threads=1,
                folder=tmp_path, name=f"{beta:g}-{seed}",
            )  # fmt: skip
            with torch.no_grad():
                gaps[i, j] = mutual_information_gap(run.model.encode(x), factors)
        print(f"{seed:4}  {gaps[i, 0]:.3f}   {gaps[i, 1]:.3f}", flush=True)
    error = len(SEEDS) ** -0.5
    mean, spread = gaps.mean(0), gaps.std(0) * error
    print(f"mean  {mean[0]:.3f}   {mean[1]:.3f}\nerror {spread[0]:.3f}   {spread[1]:.3f}")
    paired = gaps[:, 1] - gaps[:, 0]
    print(f"beta 4 - beta 1, paired: {paired.mean():.3f} +- {paired.std() * error:.3f}")
    assert paired.mean() > 2 * paired.std() * error
