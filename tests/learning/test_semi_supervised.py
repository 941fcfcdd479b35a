"""A hundred labels: the semi-supervised VAE against the same classifier without the rest.

Both see the same 100 labels of a seed, through the same network with the same dropout; neither
sees moved images. The classifier alone is trained until it has long fitted its labels.
"""

import pytest
import torch
import torch.nn.functional as F

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.labels import oversample_labelled

DATA, LABELS = "mnist-binary", 100


def accuracy(model, dataset: Dataset) -> float:
    with torch.no_grad():
        return float((model.classify(dataset.x).argmax(1) == dataset.y).float().mean())


def supervised(model, dataset: Dataset, steps: int = 1000, lr: float = 1e-3):
    """Train the model's classifier on the labelled examples alone, all of them every step."""
    rows = (dataset.y >= 0).nonzero()[:, 0]
    x, y = dataset.x[rows], dataset.y[rows]
    optimizer = torch.optim.Adam(model.classifier.parameters(), lr=lr, fused=True)
    inputs = model.output.normalize(x)
    for step in range(steps):
        batch = Batch.of(x, Context(label=y), seed=step)
        optimizer.zero_grad()
        F.cross_entropy(model.classifier(inputs, None, batch.uniform), y).backward()
        optimizer.step()
    return model


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_semi_supervised_vae_beats_the_same_classifier_by_five_points(tmp_path):
    test = ph.data.load(DATA, "test")
    gains = []
    for seed in (3, 4, 5):  # settings were chosen while looking at seeds 0, 1 and 2
        run = ph.train("semi-supervised-vae", data=DATA, seed=seed, folder=tmp_path, name=f"{seed}")
        labelled = ph.data.load(DATA, "train").with_labels(LABELS, seed)
        settings = {k: v for k, v in run.model.config.items() if k not in ("event", "context")}
        alone = ph.build("semi-supervised-vae", test.event, test.context, seed=seed, **settings)
        gains.append(accuracy(run.model, test) - accuracy(supervised(alone, labelled), test))
    print("gains in accuracy:", gains)
    assert sum(gains) / 3 >= 0.05, gains


def trained(model, dataset: Dataset, steps: int):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    for step in range(steps):
        index = torch.randint(len(dataset), (64,), generator=generator(step))
        x, context = dataset.take(index)
        batch = Batch.of(x, context, seed=step)
        if step == 0:
            model.prepare(batch)
        optimizer.zero_grad()
        model.loss(batch).total.backward()
        optimizer.step()
    return model


def probed(z, y, z_test, y_test) -> float:
    """Accuracy of a linear classifier of z, fitted to the end."""
    probe = torch.nn.Linear(z.shape[1], 10)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(probe(z), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float((probe(z_test).argmax(1) == y_test).float().mean())


@pytest.mark.slow
def test_style_does_not_tell_the_label():
    """z is independent of y by design: a linear probe finds little of y in it, as in no VAE."""
    train, test = ph.data.load("digits-binary", "train"), ph.data.load("digits-binary", "test")
    few = train.with_labels(100, 0)
    settings = {"latent_dim": 4, "hidden": (128,)}
    model = ph.build("semi-supervised-vae", train.event, train.context, alpha=10.0, **settings)
    trained(model, oversample_labelled(few, 0.125), 1500)
    plain = trained(ph.build("vae", train.event, **settings), train, 500)
    with torch.no_grad():
        style = model.encode(train.x), train.y, model.encode(test.x), test.y
        everything = plain.encode(train.x), train.y, plain.encode(test.x), test.y
    assert probed(*style) <= 0.25
    assert probed(*everything) >= 0.5
    alone = ph.build("semi-supervised-vae", train.event, train.context, **settings)
    assert accuracy(model, test) >= accuracy(supervised(alone, few), test) + 0.03
