"""Pictures of transfers: each in its place, and the diagonal of the table gives x back."""

import numpy as np
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.data.dataset import Dataset
from phosphene.evaluate import pictures, transfers
from phosphene.evaluate.section import SECTIONS, Shown
from phosphene.generative.flow.cflow import CFlow
from tests.helpers.tiny import examples

EVENT, GIVEN = Event.image(3, 8), Event.image(1, 8, levels=4)


def made() -> tuple[CFlow, Dataset]:
    x, image = examples(EVENT, 12), examples(GIVEN, 12)
    data = Dataset(name="p", split="test", event=EVENT, x=x, image=image, image_event=GIVEN)
    with seeded(0):
        spec = ContextSpec(image=GIVEN)
        flow = CFlow(EVENT, context=spec, steps=1, hidden=4, condition_hidden=4)
        flow.prepare(Batch.of(x, Context(image=image)))
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return flow, data


def test_a_table_of_transfers_has_the_examples_on_its_diagonal() -> None:
    flow, data = made()
    index = torch.tensor([4, 0, 7])
    table, columns = transfers.transferred(flow, data, index)
    assert columns == 4
    assert table.shape == (16, 8, 8, 3)
    cells = table.reshape(4, 4, 8, 8, 3)
    real = pictures.pixels(data.x[index], EVENT)
    assert data.image is not None
    assert np.array_equal(cells[0, 1:], pictures.pixels(data.image[index], GIVEN))
    for k in range(3):
        assert np.array_equal(cells[k + 1, 0], real[k])
        assert np.array_equal(cells[k + 1, k + 1], real[k])
        assert not np.array_equal(cells[k + 1, (k + 1) % 3 + 1], real[k])


def test_the_report_shows_it() -> None:
    flow, data = made()
    shown = Shown(model=flow, test=data, train=data)
    page = "".join(section.html(shown) for section in SECTIONS)
    assert "Transfers" in page
