"""Small models of every kind of data, whose scores are kept in ``frozen_scores.json``.

python -m tests.evaluate.frozen          write them anew, where a change is meant
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import phosphene as ph
from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.data.low_resolution import with_low_resolution
from phosphene.evaluate.scoring import evaluate_model

PATH = Path(__file__).with_name("frozen_scores.json")

CASES: dict[str, Callable[[], tuple[Model, Dataset, Dataset]]] = {}


def case(make: Callable[[], tuple[Model, Dataset, Dataset]]) -> Any:
    CASES[make.__name__] = make
    return make


def pair(name: str, test: int = 40, train: int = 80) -> tuple[Dataset, Dataset]:
    """A few examples of each split, every class among them."""
    found = []
    for split, n in (("test", test), ("train", train)):
        whole = ph.data.load(name, split)
        found.append(whole.subset(torch.linspace(0, len(whole) - 1, n).long()))
    return found[0], found[1]


def built(system: str, data: Dataset, context: ContextSpec | None = None, **settings: Any) -> Model:
    """A model of the data with weights that are a function of their places alone."""
    model = ph.build(system, data.event, context, **settings)
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_(0.1 * torch.sin(torch.arange(p.numel()) * 0.7 + k).view(p.shape))
    return model


@case
def codes_and_labels() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("digits-binary")
    return built("vae", test, latent_dim=3, hidden=(16,)), test, train


@case
def an_exact_density_of_codes() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("digits-binary")
    return built("made", test, hidden=(16,)), test, train


@case
def a_flow_of_the_plane() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("moons")
    return built("realnvp", test, hidden=(8,), layers=2), test, train


@case
def a_classifier_of_its_own() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("digits-binary")
    settings = {"classifier_hidden": (8,), "hidden": (16,), "latent_dim": 2}
    given = ContextSpec(label=10)
    return built("semi-supervised-vae", test, given, **settings), test, train


@case
def a_codebook() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("digits")
    return built("vq-vae", test, codes=8, hidden=8), test, train


@case
def an_estimate() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("digits-binary")
    return built("rbm", test, hidden=30), test, train


@case
def digits_asked_for_by_label() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("mnist-binary")
    given = ContextSpec(label=10)
    return built("vae", test, given, latent_dim=2, hidden=(8,)), test, train


@case
def true_factors() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("sprites")
    return built("beta-vae", test, latent_dim=3, hidden=(8,)), test, train


@case
def text() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("moby-dick", 6, 20)
    return built("transformer", test, width=8, depth=1, heads=1), test, train


@case
def sound() -> tuple[Model, Dataset, Dataset]:
    test, train = pair("speech", 4, 8)
    return built("wavenet", test, channels=4, skip=4, layers=2, stacks=1), test, train


@case
def a_lower_resolution() -> tuple[Model, Dataset, Dataset]:
    test, train = (with_low_resolution(part, 2) for part in pair("digits", 24, 40))
    given = ContextSpec(image=test.image_event)
    return built("srflow", test, given, steps=1, hidden=8, features=4, blocks=1), test, train


@case
def rows_of_a_table() -> tuple[Model, Dataset, Dataset]:
    g = torch.Generator().manual_seed(3)
    x = torch.randn(120, 3, generator=g) * torch.tensor([1.0, 10.0, 0.1])
    told = {"event": Event.real(3), "columns": ("width", "height", "depth"), "name": "boxes"}
    test = Dataset(x=x[:40], split="test", **told)  # type: ignore[arg-type]
    train = Dataset(x=x[40:], split="train", **told)  # type: ignore[arg-type]
    return built("maf", test, hidden=(8,), layers=2), test, train


def scored(name: str) -> dict[str, Any]:
    """Every score with all that it says, in order, and what was left out."""
    model, test, train = CASES[name]()
    scores = evaluate_model(model, test, train, samples=40, particles=4, seed=1)
    found: dict[str, Any] = {
        key: {**score.to_json(), "note": score.note, "features": score.features}
        for key, score in scores.items()
    }
    return {"scores": found, "left_out": scores.left_out}


def main() -> None:
    found = {name: scored(name) for name in CASES}
    PATH.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
