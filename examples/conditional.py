"""Labels as a condition, and labels that are mostly missing.

python examples/conditional.py                 # some seconds: enough to run, not to be good
python examples/conditional.py 3000steps
"""

import sys
import tempfile
from pathlib import Path

import torch

import phosphene as ph
from phosphene.data.labels import oversample_labelled
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.train.engine import Engine
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings


def fit(model: ph.Model, train: ph.data.Dataset, budget: str) -> ph.Model:
    """Train a model in a folder that is thrown away."""
    settings = TrainSettings(batch_size=128, schedule="cosine")
    with tempfile.TemporaryDirectory() as folder:
        for part in ("model", "checkpoint"):
            (Path(folder) / part).mkdir()
        source = DatasetSource(train, settings.batch_size, seed=0)
        engine = Engine(
            model, source, settings, Budget.parse(budget), Path(folder), Runtime("cpu"),
        )  # fmt: skip
        engine.run()
    return model.eval()


def main(budget: str = "200steps") -> None:
    """Train both, and ask them."""
    train, test = (ph.data.load("digits-binary", split) for split in ("train", "test"))
    labels = train.context  # ContextSpec(label=10): what the data set can condition on

    # p(x|label): ask for a seven.
    vae = fit(ph.build("vae", train.event, labels, latent_dim=8), train, budget)
    sevens = vae.sample(5, ph.Context(label=torch.full((5,), 7)))
    print("five sevens:", tuple(sevens.shape))

    # 100 labels of 1,297. Labels that are -1 are latent: the model sums over them.
    few = oversample_labelled(train.with_labels(100, seed=0), 0.25)
    m2 = ph.build("semi-supervised-vae", train.event, labels, latent_dim=8, hidden=(128, 128))
    fit(m2, few, budget)
    with torch.no_grad():
        right = m2.classify(test.x).argmax(1) == test.y
        ten = m2.translate(test.x[:1].expand(10, -1, -1, -1), ph.Context(label=torch.arange(10)))
    print(f"accuracy with 100 labels: {right.float().mean():.3f}")
    print("one style under ten labels:", tuple(ten.shape))


if __name__ == "__main__":
    main(*sys.argv[1:])
