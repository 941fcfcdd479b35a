"""A model of one's own class: trained, gone on with, scored; refused where nobody hands it over."""

import pytest
import torch
from torch import nn

import phosphene as ph
from phosphene.core.errors import RunError


class Independent(ph.Model):
    likelihood = "exact"

    def __init__(self, event, *, context=None):
        super().__init__(event, context=context)
        self.logits = nn.Parameter(torch.zeros(event.dimensions))

    def loss(self, batch):
        return ph.Loss(-self.log_prob(batch.x).mean(), {})

    def log_prob(self, x, context=None):
        x = self.event.check(x).flatten(1).float()
        logits = self.logits.expand_as(x)
        return -nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


def test_it_goes_on_and_is_scored(tmp_path):
    event = ph.Event.image(1, 8, levels=2)
    said = {"data": "digits-binary", "name": "a", "folder": tmp_path, "threads": 1}
    ph.train(Independent(event), budget="5steps", **said)
    run = ph.train(Independent(event), budget="20steps", resume=True, **said)
    straight = ph.train(Independent(event), budget="20steps", **{**said, "name": "b"})
    assert torch.equal(run.model.logits, straight.model.logits)
    assert ph.evaluate(run)["nll"].kind == "exact"
    with pytest.raises(RunError, match=r"'Independent' is no system.*Run\(path, model=\.\.\.\)"):
        ph.load(run.path)
