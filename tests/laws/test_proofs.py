"""Every proof holds, quickly, and what it reports can be written as JSON."""

import json

import pytest

from phosphene import proofs
from phosphene.catalog import systems
from phosphene.core.errors import UnknownNameError
from phosphene.proofs.proof import Proof, above, below, equal
from tests.helpers.proved import proved

TRAINING = {
    "adding-problem", "autoencoder-latent", "copy-memory", "posterior-regularisation", "reverse-kl",
}  # fmt: skip
"""Proofs that train a network for more than a few seconds."""


ALL = [
    pytest.param(n, marks=pytest.mark.slow if n in TRAINING else (), id=n) for n in proofs.names()
]


@pytest.mark.parametrize("name", ALL)
def test_proof_holds(name):
    proof = proved(proofs.module_of(name))
    assert proof.name == name
    assert proof.title
    assert "=" in proof.statement or "<" in proof.statement
    failed = [row for row in proof.rows if not row["holds"]]
    assert proof.rows
    assert not failed, failed
    assert proof.holds
    json.dumps(proof.describe(), allow_nan=False)


@pytest.mark.parametrize("name", ALL)
def test_a_wrong_formula_is_noticed(name):
    """The same check, with a plausible mistake in the formula's place, fails by a number."""
    wrong = proofs.module_of(name).WRONG
    assert len(wrong.formula) > 20
    assert wrong.put
    proof = proofs.run(name, broken=True)
    assert not proof.holds
    json.dumps(proof.describe(), allow_nan=False)


def test_a_false_row_is_not_hidden():
    rows = [equal("a", 1.0, 1.0, 0.0), equal("b", 1.0, 1.2, 0.1)]
    assert not Proof("x", "x", "x", rows).holds
    assert not below("c", 2.0, 1.0)["holds"]
    assert not above("c", 1.0, 2.0)["holds"]
    assert not equal("nan", float("nan"), 1.0, 1.0)["holds"]
    assert not below("nan", float("nan"), 1.0)["holds"]


def test_unknown_proof_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'reparametrisation'"):
        proofs.run("reparametrization")


def test_each_proof_is_what_its_row_names():
    for row in systems():
        if row.kind == "proof":
            assert row.load() is proofs.module_of(row.name).prove
            assert row.title.startswith("Proof: ")
