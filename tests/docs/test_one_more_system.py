"""One more system in a standing family: documents, help and laws take it from its row."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from phosphene import catalog
from tests.helpers import settings as written
from tests.laws.counted import asserting
from tests.laws.library import LAWS, cases

ROOT = Path(__file__).resolve().parents[2]
PLANTED = '''
"""A planted flow."""
from phosphene.catalog import System
from phosphene.generative.flow.nice import NICE

class Planted(NICE):
    """NICE by another name (Dinh, Krueger and Bengio, 2015)."""

SYSTEMS = [
    System(
        name="planted-flow", family="flow", title="Planted flow: a test", kind="model", rows=(41,),
        events=("real",), context="optional", paper="Dinh et al., 2015", target="planted:Planted",
    )
]
'''


@pytest.fixture
def row(tmp_path, monkeypatch):
    info = tmp_path / "planted-1.0.dist-info"
    info.mkdir()
    (tmp_path / "planted.py").write_text(PLANTED)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[phosphene.systems]\nplanted = planted:SYSTEMS\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog._table.cache_clear()
    yield catalog.find("planted-flow")
    catalog._table.cache_clear()


@pytest.fixture
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "_generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_documents_take_it(row, generator):
    assert "`planted-flow`" in generator.systems_table()
    assert "planted.Planted" in generator.kind_pages()["learners-dataset"]
    page = generator.api_pages()["api-flow"]
    assert "## Planted flow\n\n```{eval-rst}\n.. automodule:: planted\n" in page
    assert generator.recipes_list(row.name)
    assert "--model.layers" in generator.help_of("train", row.name)


def test_the_page_of_each_system_is_included_once(generator):
    """Every module that holds a system is documented, and no page repeats it by hand."""
    pages = [path.read_text() for path in (ROOT / "docs" / "reference").glob("api-*.md")]
    generated = generator.api_pages()
    for name, text in generated.items():
        assert sum(f"generated/{name}.md" in page for page in pages) == 1
        for line in text.splitlines():
            if line.startswith(".. automodule::"):
                assert not any(f"{line}\n" in page for page in pages), line


def test_laws_and_settings_take_it(row):
    case = next(iter(cases(row)))
    names = [name for name in case.laws() if "builds" in name or "inverse" in name]
    assert names
    for name in names:
        asserting(LAWS[name], case.make, case.row)
    assert "layers" in written.table()["planted-flow"]
