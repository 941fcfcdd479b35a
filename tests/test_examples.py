"""The examples run, and what the documents show is true: commands, code, tables, names."""

import ast
import importlib.util
import re
import runpy
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch

import phosphene as ph
from phosphene import catalog
from tests.helpers.own_systems import SYSTEMS
from tests.laws.agents import AGENT_LAWS, agent_laws
from tests.laws.counted import asserting
from tests.laws.library import LAWS, ROW_LAWS, cases, row_laws

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = {
    "train_and_sample": ["20steps"],
    "own_data": ["", "10steps"],
    "evaluate_any_model": [],
    "custom_model": [],
    "custom_agent": [],
    "resume": [],
    "conditional": ["20steps"],
    "variational_inference": ["20steps"],
    "maze": ["3000steps"],
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def part_of_docs(name: str) -> ModuleType:
    """A module of ``docs``, which is not a package."""
    spec = importlib.util.spec_from_file_location(f"docs{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- examples ------------------------------------------------------------------------------------


def test_every_example_is_run():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *EXAMPLES[name]])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out


MODEL, AGENT = SYSTEMS


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
        "[phosphene.systems]\nmixture = tests.helpers.own_systems:SYSTEMS\n"
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


# -- documents -----------------------------------------------------------------------------------


def test_readme_leads_to_every_family_and_its_page_to_every_system():
    text = (ROOT / "README.md").read_text()
    for family in {row.family for row in ph.systems()}:
        assert f"docs/families/{family}.md" in text
        page = (ROOT / "docs" / "families" / f"{family}.md").read_text()
        for row in ph.systems(family):
            if row.kind in ("model", "agent", "solver"):
                assert f"`{row.name}`" in page or f"phosphene train {row.name}" in page, row.name


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def short(code: str) -> str:
    """The same code with budgets and counts that a test can afford."""
    code = re.sub(r'budget="[^"]+"', 'budget="5steps", threads=1', code)
    code = re.sub(r"samples=\d+", "samples=40", code)
    return re.sub(r"particles=\d+", "particles=3", code)


CODE = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", CODE, ids=[str(page.relative_to(ROOT)) for page in CODE])
def test_code_in_documents_runs(page, tmp_path, monkeypatch):
    """All Python blocks of a page, one after the other, in one namespace."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(short(block), str(page), "exec"), names)


def commands(page: Path) -> list[list[str]]:
    """The phosphene commands of a page's shell blocks, without comments."""
    import shlex

    lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    found = []
    for words in split:
        if "phosphene" in words:
            rest = words[words.index("phosphene") + 1 :]
            found.append(rest[: rest.index("&&")] if "&&" in rest else rest)
    return found


COMMANDS = sorted({tuple(c) for page in PAGES for c in commands(page)})


@cache
def help_of(*arguments: str) -> str:
    return part_of_docs("_generate").help_of(*arguments)


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(c) for c in COMMANDS])
def test_commands_in_documents_exist(command):
    """Each command, system, data set, proof and option of the documents is known."""
    from phosphene.cli.main import COMMANDS as known
    from phosphene.data.table import adapters, names
    from phosphene.proofs import PROOFS

    if not command or command[0].startswith("-"):
        assert not command or command[0] in help_of()
        return
    name, *rest = command
    assert name in known
    words = [w for k, w in enumerate(rest) if not w.startswith("-")]
    page = (name, words[0]) if name == "train" else (name,)
    if name == "train":
        catalog.find(words[0])
    if name == "prove" and words:
        assert words[0] in PROOFS
    for k, word in enumerate(rest):
        if word.startswith("--"):
            flag = word.split("=")[0]
            assert re.search(rf"{re.escape(flag)}\b", help_of(*page)), f"no option {flag}"
        if word == "--data":
            base = re.split("[:?]", rest[k + 1])[0]
            assert base in {row.name for row in [*names(), *adapters()]}


def test_every_formula_can_be_drawn():
    pytest.importorskip("docutils")
    draw = part_of_docs("_math").svg
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for block, inline in re.findall(r"\$\$(.*?)\$\$|\$([^$]+)\$", text, re.S):
            assert draw(block or inline).startswith("<svg")


def test_every_model_has_a_section():
    text = (ROOT / "docs" / "families" / "autoencoder.md").read_text()
    for row in ph.systems("autoencoder"):
        if row.kind == "model":
            assert f"phosphene train {row.name}" in text, row.name


def test_every_proof_is_explained():
    from phosphene.proofs import PROOFS

    text = "".join(page.read_text() for page in (ROOT / "docs" / "theory").glob("*.md"))
    for name in PROOFS:
        assert f"phosphene prove {name}" in text, name


def test_every_metric_is_explained():
    from phosphene.evaluate.metric import METRICS

    text = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for metric in METRICS:
        assert f"`{metric.name}`" in text, metric.name


def test_documents_name_no_machine():
    for page in PAGES:
        text = page.read_text()
        assert not re.search(r"(/root/|/work/|/home/|/tmp/)", text), page
