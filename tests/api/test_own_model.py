"""A model of one's own class: trained, gone on with, scored; refused where nobody hands it over."""

import pytest
import torch
from torch import nn

import phosphene as ph
from phosphene.api.report import report
from phosphene.core.errors import ConfigError, RunError, UnknownNameError


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


class Tensors(ph.Model):
    def setup(self):
        super().setup()
        self.at = torch.nn.Parameter(torch.zeros(self.event.dimensions))

    def loss(self, batch):
        return (batch.x.flatten(1).float() - self.at).square().mean()


class Vectors(Tensors):
    def loss(self, batch):
        return ph.Loss((batch.x.flatten(1).float() - self.at).square().sum(1))


class Constant(Tensors):
    def loss(self, batch):
        return ph.Loss((batch.x.flatten(1).float() - self.at.detach()).square().mean())


@pytest.mark.parametrize(
    ("cls", "says"),
    [
        (Tensors, "loss of Tensors gives 'Tensor', and must give a phosphene.Loss"),
        (Vectors, "loss of Vectors has a total of shape (128,), and must be one number"),
        (Constant, "loss of Constant depends on no parameter"),
    ],
)
def test_a_loss_that_is_none_is_one_sentence(cls, says, tmp_path):
    model = cls(ph.Event.image(1, 8, levels=2))
    with pytest.raises(ConfigError) as caught:
        ph.train(model, data="digits-binary", budget="2steps", folder=tmp_path, threads=1)
    assert says in str(caught.value)


def test_a_likelihood_of_no_kind_is_refused_where_it_is_written():
    with pytest.raises(UnknownNameError, match="did you mean 'exact'"):
        type("Misspelt", (Tensors,), {"likelihood": "exct"})


def test_a_run_of_ones_own_class_is_reported(tmp_path):
    class Means(Tensors):
        def loss(self, batch):
            return ph.Loss((batch.x.flatten(1).float() - self.at).square().mean())

    model = Means(ph.Event.image(1, 8, levels=2))
    run = ph.train(model, data="digits-binary", budget="2steps", folder=tmp_path, threads=1)
    page = report(ph.Run(run.path, model=model), {}).read_text()
    assert "Means on digits-binary" in page
