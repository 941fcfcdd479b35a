"""Every page of theory names a test that checks it, and that test imports the code it speaks of."""

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
THEORY = ROOT / "docs" / "theory"
PAGES = sorted(THEORY.rglob("*.md"))
LINE = re.compile(
    r"\*\*Checked by\*\* `(tests/[\w/]+\.py)::(test_\w+)`, which imports "
    r"\{py:obj\}`~?(phosphene(?:\.\w+)+)`\."
)


class Tie(NamedTuple):
    """A test, and the function of the library that it says it imports."""

    file: str
    test: str
    target: str


def ties(text: str) -> list[Tie]:
    """What a page says it is checked by; every such sentence has the one form."""
    text = " ".join(text.split())
    found = [Tie(*match) for match in LINE.findall(text)]
    said = text.count("**Checked by**")
    assert said == len(found), f"{said - len(found)} lines 'Checked by' have another form"
    return found


def follow(tie: Tie, root: Path = ROOT) -> None:
    """Raise where the test or the function does not exist, or the one does not use the other."""
    path = root / tie.file
    assert path.is_file(), f"there is no {tie.file}"
    tree = ast.parse(path.read_text())
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert tie.test in tests, f"{tie.file} has no {tie.test}"
    module, _, name = tie.target.rpartition(".")
    assert hasattr(import_module(module), name), f"there is no {tie.target}"
    assert _uses(tree, module, name), f"{tie.file} does not import and use {tie.target}"


def _uses(tree: ast.Module, module: str, name: str) -> bool:
    """Whether a name of a module is imported and used: by itself, or through its module."""
    own, through = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if node.module == module and alias.name == name:
                    own.add(alias.asname or alias.name)
                if f"{node.module}.{alias.name}" == module:
                    through.add(alias.asname or alias.name)
        if isinstance(node, ast.Import):
            through |= {alias.asname or alias.name for alias in node.names if alias.name == module}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {
        ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == name
    }
    return bool(own & names or through & attributes)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(THEORY)) for page in PAGES])
def test_a_page_is_tied_to_a_test_that_imports_what_it_speaks_of(page):
    found = ties(page.read_text())
    assert found, f"{page.name} names no test that checks it"
    for tie in found:
        follow(tie)


WORKING = """
import phosphene.nn.gaussian as gaussian
from phosphene.nn.gaussian import kl_full, kl_diagonal
from phosphene.nn import positions

def test_one():
    assert kl_full(1) == gaussian.log_normal(2)
"""
"""A test file that uses two functions, and imports a third without using it."""


@pytest.mark.parametrize(
    ("tie", "said"),
    [
        (Tie("tests/test_it.py", "test_one", "phosphene.nn.gaussian.kl_full"), ""),
        (Tie("tests/test_it.py", "test_one", "phosphene.nn.gaussian.log_normal"), ""),
        (Tie("tests/test_no.py", "test_one", "phosphene.nn.gaussian.kl_full"), "there is no tests"),
        (Tie("tests/test_it.py", "test_two", "phosphene.nn.gaussian.kl_full"), "has no test_two"),
        (Tie("tests/test_it.py", "test_one", "phosphene.nn.gaussian.kl_ful"), "there is no phosp"),
        (Tie("tests/test_it.py", "test_one", "phosphene.nn.gaussian.kl_diagonal"), "does not imp"),
        (Tie("tests/test_it.py", "test_one", "phosphene.nn.gaussian.kl_to_standard"), "does not"),
    ],
)
def test_a_loose_tie_is_noticed(tmp_path, tie, said):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(WORKING)
    if not said:
        follow(tie, tmp_path)
        return
    with pytest.raises(AssertionError, match=said):
        follow(tie, tmp_path)


def test_a_line_of_another_form_is_noticed():
    right = "**Checked by** `tests/a/test_b.py::test_c`, which imports {py:obj}`phosphene.d.e`."
    assert ties(right) == [Tie("tests/a/test_b.py", "test_c", "phosphene.d.e")]
    assert ties(right.replace(" which", "\nwhich")) == ties(right)
    assert ties("nothing") == []
    for wrong in (right.replace("::test_c", ""), right.replace("{py:obj}", ""), right[:-1]):
        with pytest.raises(AssertionError, match="another form"):
            ties(wrong)
