"""Every bijection sees where it does not come back."""

import pytest
import torch

from phosphene.catalog import systems
from phosphene.core.context import Context
from tests.laws.support import Case, cases, context_of, data_of, lived

FLOWS = [
    case
    for row in systems()
    if row.kind == "model" and hasattr(row.load(), "inverse_error")
    for case in list(cases(row))[:1]
]


@pytest.mark.parametrize("case", FLOWS, ids=[case.row.name for case in FLOWS])
def test_every_flow_sees_that_it_does_not_come_back(case: Case) -> None:
    model = lived(case.make, case.row, dtype=torch.float64).eval()
    x = data_of(model, 5)
    told = (x, context_of(model, 5)) if model.context else (x,)
    with torch.no_grad():
        assert float(model.inverse_error(*told).max()) < 1e-3
        layer = model.ode if hasattr(model, "ode") else model.transform
        right = layer.inverse

        def wrong(z: torch.Tensor, context: Context | None = None) -> torch.Tensor:
            y = right(z, context).clone()
            y[2] += 3.0
            return y

        layer.inverse = wrong
        error = model.inverse_error(*told)
    assert int(error.argmax()) == 2
    assert float(error[2]) > 0.3, "an inverse that is off by 3 goes unseen"
    assert float(error[[0, 1, 3, 4]].max()) < 1e-3


def test_flows_that_can_be_checked_are_there() -> None:
    named = {case.row.name for case in FLOWS}
    assert named >= {"realnvp", "glow", "maf", "nice", "continuous-flow", "c-flow", "srflow"}
