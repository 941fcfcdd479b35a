"""The examples run, and what the documents show is true: commands, code, tables, names."""

import importlib.util
import inspect
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
from phosphene.core.config import parameters_of

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


# -- documents -----------------------------------------------------------------------------------


def test_readme_leads_to_every_family_and_its_page_to_every_system():
    text = (ROOT / "README.md").read_text()
    for family in {row.family for row in ph.systems()}:
        assert f"docs/families/{family}.md" in text
        page = (ROOT / "docs" / "families" / f"{family}.md").read_text()
        for row in ph.systems(family):
            if row.kind not in ("proof", "tool"):
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


@cache
def own_flags() -> set[str]:
    """The options of ``phosphene sample RUN`` that are settings of some system's own."""
    classes = [row.load() for row in ph.systems() if row.kind == "model"]
    methods = [
        method
        for cls in classes
        for name in ("sample", "refine", "inpaint", "interpolate")
        if inspect.isfunction(method := getattr(cls, name, None))
    ]
    names = {name for method in methods for name in parameters_of(method)}
    return {f"--{name.replace('_', '-')}" for name in names}


@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(c) for c in COMMANDS])
def test_commands_in_documents_exist(command):
    """Each command, system, data set, proof and option of the documents is known."""
    from phosphene.api.learn import lessons
    from phosphene.cli.main import COMMANDS as known
    from phosphene.data.table import adapters, names
    from phosphene.proofs import names as proofs

    if not command or command[0].startswith("-"):
        assert not command or command[0] in help_of()
        return
    name, *rest = command
    assert name in known
    words = [w for k, w in enumerate(rest) if not w.startswith("-")]
    page = (name, words[0]) if name in ("train", "learn") and words else (name,)
    if name == "train":
        catalog.find(words[0])
    if name == "prove" and words:
        assert words[0] in proofs()
    if name == "learn" and words:
        assert words[0] in lessons()
    for k, word in enumerate(rest):
        if word.startswith("--"):
            flag = word.split("=")[0]
            known_here = re.search(rf"{re.escape(flag)}\b", help_of(*page))
            own = name == "sample" and flag in own_flags()
            assert known_here or own, f"no option {flag}"
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
    from phosphene.proofs import names

    text = "".join(page.read_text() for page in (ROOT / "docs" / "theory").rglob("*.md"))
    for name in names():
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
