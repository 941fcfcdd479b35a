"""Completions where some labels are known and others are not."""

import torch

import phosphene as ph
from phosphene.generative.autoregressive.completion import Known, _weights, computable
from tests.laws.support import LABELS


def test_a_known_label_leaves_no_weight_to_the_others():
    event = ph.Event.binary(6)
    model = ph.build("nade", event, context=LABELS, hidden=4, orders=2)
    label = torch.tensor([1, -1, 0, -1])
    x, mask = torch.zeros(4, 6), torch.zeros(4, 6, dtype=torch.bool)
    mask[:, :2] = True
    known = Known(x, mask, ph.Context(label=label), torch.zeros(4, dtype=torch.long))
    with torch.no_grad():
        weights = _weights(model, known, computable(model, mask), label < 0)
    share = weights.flatten(1).softmax(1).view_as(weights).sum(1)
    for row, y in ((0, 1), (2, 0)):
        assert torch.isclose(share[row, y], torch.ones(()))
    assert (share[[1, 3]] > 0).all()
    assert (share[[1, 3]] < 1).all()
