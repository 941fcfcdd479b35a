"""Every system of which the catalogue says that it may be told something trains with it by name."""

from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.catalog import System, systems
from phosphene.core.errors import ConfigError, EventError
from phosphene.data.dataset import Dataset
from tests.laws import small
from tests.laws.support import examples

TOLD = [row for row in systems() if row.kind == "model" and row.context != "none"]
UNTOLD = [row for row in systems() if row.kind == "model" and row.context == "none"]


def data_for(event: ph.Event, smaller: bool) -> Dataset:
    """Examples with labels, vectors in large units, and images, of the event or smaller."""
    n, of = 24, None
    if event.has_image_shape and event.discrete:
        c, h, w = event.shape
        of = ph.Event.image(c, (h // 2, w // 2), levels=event.levels or 256) if smaller else event
    return Dataset(
        name="own",
        split="train",
        event=event,
        x=examples(event, n, 0),
        y=torch.arange(n) % 3,
        classes=("a", "b", "c"),
        vector=1000.0 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0)),
        vector_columns=("dose", "age"),
        image=None if of is None else examples(of, n, 1),
        image_event=of,
    )


def train(row: System, event: ph.Event, context: str, folder: Path) -> ph.Run:
    model = {**small.settings(row.name, event)[0]}
    if "prior_system" in model:
        model.setdefault("prior", {})  # and not what the recipe says of another system
    return ph.train(
        row.name,
        data=data_for(event, row.name == "srflow"),
        context=context,
        budget="1steps",
        folder=folder,
        threads=1,
        name=f"{row.name}-{context}",
        model=model,
        train={"batch_size": 12},
    )


@pytest.mark.parametrize("row", TOLD, ids=[row.name for row in TOLD])
def test_it_trains_with_what_it_claims(row: System, tmp_path: Path) -> None:
    taken = set()
    events = [small.events(row)[kind][0] for kind in row.events]
    # One of each: codes and reals, images and others.
    for event in {(e.discrete, e.has_image_shape): e for e in events}.values():
        for context in ("label", "vector", "image"):
            try:
                run = train(row, event, context, tmp_path / str(event).replace(" ", "-"))
            except (ConfigError, EventError):  # an event that takes no such context
                continue
            assert run.model.context.names == (context,)
            assert run.config["context"] == [context]
            taken.add(context)
    assert taken, f"{row.name} trains with no context by name"


@pytest.mark.parametrize("row", UNTOLD, ids=[row.name for row in UNTOLD])
def test_others_say_that_they_take_none(row: System, tmp_path: Path) -> None:
    event = small.events(row)[row.events[0]][0]
    with pytest.raises((ConfigError, EventError)) as caught:
        train(row, event, "label", tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
