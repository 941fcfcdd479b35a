"""The notebooks of the course: their form, that they have no outputs, and that every cell runs."""

import ast
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from PIL.Image import Image

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL = {"markdown": set(), "code": {"execution_count", "outputs"}}
"""What a cell has beside its type, id, metadata and source."""

each = pytest.mark.parametrize("path", BOOKS, ids=[path.stem for path in BOOKS])


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    """One thread, no window, and an empty folder to work in."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    torch.set_num_threads(threads)


def cells(book: dict, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == kind]


def check_form(book: dict, stem: str) -> None:
    """Raise where a notebook is not as Jupyter writes it, or keeps what was run."""
    assert book["nbformat"] == 4
    assert book["nbformat_minor"] >= 5
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids), "two cells have one id"
    for cell in book["cells"]:
        more = CELL[cell["cell_type"]]
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | more, cell["id"]
        assert cell.get("outputs", []) == [], f"{cell['id']} has outputs: clear them"
        assert cell.get("execution_count") is None, f"{cell['id']} has a number: clear outputs"
        lines = cell["source"]
        assert lines, f"{cell['id']} is empty"
        assert all(line.endswith("\n") for line in lines[:-1]), "source is a list of lines"
        assert not lines[-1].endswith("\n")
    number = int(stem.partition("-")[0])
    assert 1 <= number <= 13, "the section of the course"
    assert book["cells"][0]["cell_type"] == "markdown"
    assert "".join(book["cells"][0]["source"]).startswith(f"# {number}. ")
    code = "\n".join(cells(book, "code"))
    ast.parse(code)  # and so no magics
    assert re.search(r"^(from|import) phosphene", code, re.M), "it shows the library"
    assert "assert " in code, "it checks something"
    assert not re.search(r"(/root/|/work/|/home/|/tmp/|pip install)", json.dumps(book))


@each
def test_a_notebook_has_the_form_and_no_outputs(path):
    check_form(json.loads(path.read_text()), path.stem)


def run(code: str, name: str, names: dict[str, object]) -> object:
    """Run a cell; what it ends with, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), names)


@each
def test_every_cell_runs_and_a_picture_is_shown(path, monkeypatch):
    shown = []

    def show():
        shown.extend(plt.get_fignums())
        plt.close("all")  # as a notebook does

    monkeypatch.setattr(plt, "show", show)
    names: dict[str, object] = {"__name__": "__main__"}
    for k, code in enumerate(cells(json.loads(path.read_text()), "code")):
        value = run(code, f"{path.name}, code cell {k + 1}", names)
        if isinstance(value, Image):
            shown.append(value)
    assert shown, "no picture was shown"


def test_the_index_lists_each_and_nothing_else():
    page = (FOLDER / "index.md").read_text()
    listed = re.findall(r"\{download\}`[^`<]*<([^`>]+)>`", page)
    assert listed == [path.name for path in BOOKS]
    assert "notebooks/index" in (ROOT / "docs" / "index.md").read_text()


def test_what_is_wrong_with_a_notebook_is_noticed():
    book = json.loads(BOOKS[0].read_text())
    code = next(k for k, cell in enumerate(book["cells"]) if cell["cell_type"] == "code")

    def spoiled(**changes):
        copy = json.loads(json.dumps(book))
        copy["cells"][code] |= changes
        return copy

    check_form(book, BOOKS[0].stem)
    for changes in (
        {"outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}]},
        {"execution_count": 3},
        {"source": ["%matplotlib inline"]},
        {"source": ["open('/tmp/x')"]},
        {"source": ["one", "two"]},
        {"id": book["cells"][0]["id"]},
    ):
        with pytest.raises((AssertionError, SyntaxError)):
            check_form(spoiled(**changes), BOOKS[0].stem)
    with pytest.raises(AssertionError):
        check_form(book, "09-something")
