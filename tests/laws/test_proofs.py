"""Every proof holds, quickly, and what it reports can be written as JSON."""

import json
from importlib import import_module

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


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n in TRAINING else (), id=f"{n}-holds")
        for n in proofs.PROOFS
    ],
)
def test_proof_holds(name):
    proof = proved(import_module(f"phosphene.proofs.{proofs.PROOFS[name]}"))
    assert proof.name == name
    assert proof.title
    assert "=" in proof.statement or "<" in proof.statement
    failed = [row for row in proof.rows if not row["holds"]]
    assert proof.rows
    assert not failed, failed
    assert proof.holds
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


def test_catalogue_and_proofs_agree():
    rows = {row.name: row for row in systems() if row.kind == "proof"}
    assert set(rows) == set(proofs.PROOFS)
    for name, row in rows.items():
        assert row.load().__module__.endswith(proofs.PROOFS[name])
