"""A model and an agent of one's own: forty lines, six concepts, all laws, and a name of theirs."""

import ast
import re
from pathlib import Path

import pytest

import phosphene as ph
from phosphene import catalog
from tests.house.own_systems import SYSTEMS
from tests.laws.agents import AGENT_LAWS, agent_laws
from tests.laws.counted import asserting
from tests.laws.library import LAWS, ROW_LAWS, cases, row_laws

MODEL, AGENT = SYSTEMS
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("row", SYSTEMS, ids=lambda row: row.name)
def test_one_of_your_own_takes_forty_lines_and_six_concepts(row):
    """The concepts are what its class needs of phosphene; the page for newcomers names each."""
    path = ROOT / f"{row.target.split(':')[0].replace('.', '/')}.py"
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    tree = ast.parse(text)
    imported = {
        name.name
        for line in tree.body
        if isinstance(line, ast.ImportFrom) and str(line.module).startswith("phosphene.")
        for name in line.names
    }
    (own,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    named = {n.id for n in ast.walk(own) if isinstance(n, ast.Name)} & imported
    named |= {
        n.attr
        for n in ast.walk(own)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "ph"
    }
    page = (ROOT / "docs" / "reference" / "model-of-your-own.md").read_text()
    listed = page[page.index(f"custom_{row.kind}.py") :]
    concepts = re.findall(r"^\d\. \*\*`(\w+)`\*\*", listed, re.M)[:6]
    assert len(concepts) == 6
    assert named <= set(concepts)


HOUSE = {"law_docstring_cites"}  # what the house asks of its own documents


@pytest.mark.parametrize("name", [name for name in row_laws(MODEL) if name not in HOUSE])
def test_row_laws_of_the_custom_model(name):
    ROW_LAWS[name](MODEL)


@pytest.mark.parametrize("case", list(cases(MODEL)), ids=lambda case: case.name)
def test_laws_of_the_custom_model(case):
    for name in case.laws():
        asserting(LAWS[name], case.make, case.row)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that adds the example's rows by an entry point."""
    info = tmp_path / "site" / "mixture-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mixture\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[phosphene.systems]\nmixture = tests.house.own_systems:SYSTEMS\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    catalog._table.cache_clear()
    yield
    catalog._table.cache_clear()


@pytest.mark.parametrize("kind", AGENT.events)
def test_laws_of_the_custom_agent(installed, kind, tmp_path):
    for name in agent_laws(AGENT, kind):
        (tmp_path / name).mkdir()
        asserting(AGENT_LAWS[name], AGENT, kind, tmp_path / name)


def test_the_custom_model_by_its_entry_point(installed, tmp_path):
    assert catalog.find("bernoulli-mixture").family == "example"
    run = ph.train(
        "bernoulli-mixture", data="digits-binary", budget="5steps", components=4, threads=1,
        folder=tmp_path,
    )  # fmt: skip
    assert ph.load(run.path).log_prob(ph.data.load("digits-binary", "test").x).shape == (300,)
