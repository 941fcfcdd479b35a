"""Count what the house is judged by: how far its inside is bent around what stands in it.

    python scripts/count_house.py            one line a count
    python scripts/count_house.py --list     what was counted, too

Docstrings, comments and texts for people are not looked at. *Shared* files are those of the rooms
``core``, ``catalog``, ``train``, ``evaluate``, ``recipes``, ``api``, ``cli`` and ``subjects``, but
for a kind's own: a folder of ``subjects``, a module named for it (``OWN``), and tables of values
(``recipes.py`` and what stood in ``recipes`` beside the verbs: ``VALUES``).

kinds      Shared files with a word of the second kind of thing to learn from, an environment
           (``KIND_WORDS``): what the next kind would have to edit again; with the package's front
           (``__init__.py``), what generates the documents, and the shared files of the tests.
branches   Lines of shared files that branch on a kind of subject, on a kind of data that one family
           brought, or on a data set's name (``BRANCHES``).
methods    Lines of shared files that ask a model for a method by its name (``METHODS``).
settings   Keyword parameters of the constructors (and declared settings) of all systems that repeat
           the name, type and default of an earlier one, of how many.
circles    Circles of imports among the modules of the package, those inside functions included.
long       Files of more than 400 lines in src, tests, benchmarks and scripts, C++ included.
layers     The part of the lines of ``nn`` that at most one family uses, directly or by way of other
           modules of ``nn``.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "phosphene"

SHARED = ("core", "catalog", "train", "evaluate", "recipes", "api", "cli", "subjects")
OWN = (
    "agent",
    "environment",
    "events",
    "progress",
    "environments",
    "play",
    "playing",
    "acting",
    "solve",
    "solving",
    "returns",
    "agent_report",
    "value_map",
    "comparing_agents",
)
VALUES = (
    "agents",
    "agents_more",
    "agents_policy",
    "agents_tabular",
    "agents_value",
    "autoencoder",
    "energy",
    "flows",
    "pixels",
    "sequences",
    "tables",
    "transformer",
    "vectors",
    "autoregressive",
    "decision",
    "decision_exact",
    "decision_more",
    "decision_policy",
    "decision_tabular",
    "decision_value",
    "flow",
)
KIND_WORDS = re.compile(
    r"\b(env|Environment|EnvSpec|Agent|agents?|Experience|experienced|experience|episodes?|"
    r"environments?|said_env|own_env|env_of|environment_steps|validation_steps)\b"
)
BRANCHES = {
    "the kind of subject": re.compile(
        r"\b(plan\.dataset|plan\.env|env|run\.env|_experienced) is (not )?None\b"
        r"|\bif (not )?(agent|run\.env|_experienced)\b|\bor run\.env\b"
        r"|isinstance\([\w.]+, (Agent|Model|EnvSpec|Dataset|Environment)\)"
        r"|issubclass\(\w+, Agent\)|\brow\.kind (!=|==|in)|\.kind (==|!=) \"(agent|solver|proof)"
        r"|\bagent (!=|==) |if agent\b|not agent\b"
    ),
    "a family, or a name of data": re.compile(
        r"name\.startswith\(\"mnist|\.family (==|!=|in)|event\.kind (==|!=|in|not in) "
        r"|\.tokenizer is (not )?None|\.sample_rate is (not )?None"
    ),
}
METHODS = re.compile(r"\bhasattr\((self\.|run\.)?(model|built|cls|row\.load\(\))[,)]")


def code_of(path: Path) -> list[str]:
    """The lines of a file without docstrings, other texts of several lines, and comments."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        (row, left), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:left]
        elif token.type == tokenize.STRING and (row != last or token.string.startswith('"""')):
            for line in range(row - 1, last):
                lines[line] = ""
    return lines


def shared_files() -> Iterator[Path]:
    for room in SHARED:
        for path in sorted((SRC / room).rglob("*.py")):
            parts = path.relative_to(SRC / room).parts
            if room == "subjects" and len(parts) > 1:
                continue
            if "proofs" in parts or path.stem in OWN:
                continue
            if room in ("recipes", "catalog") and path.stem in VALUES:
                continue
            yield path


def without_texts(line: str) -> str:
    return re.sub(r"\"[^\"]*\"", lambda m: m.group() if " " not in m.group() else '""', line)


def around() -> Iterator[Path]:
    """The package's front, what generates the documents, and what all tests share."""
    yield SRC / "__init__.py"
    yield ROOT / "docs" / "_generate.py"
    for room in ("laws", "helpers", "."):
        for path in sorted((ROOT / "tests" / room).glob("*.py")):
            if path.stem not in (*OWN, "agents", "test_agents"):
                yield path


def kinds() -> list[str]:
    found = []
    for path in (*shared_files(), *around()):
        if any(KIND_WORDS.search(without_texts(line)) for line in code_of(path)):
            found.append(str(path.relative_to(ROOT)))
    return found


def branches() -> list[str]:
    found = []
    for path in shared_files():
        for number, line in enumerate(code_of(path), 1):
            for name, pattern in BRANCHES.items():
                if pattern.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {name}: {line.strip()}")
                    break
    return found


def methods() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in shared_files()
        for number, line in enumerate(code_of(path), 1)
        if METHODS.search(line)
    ]


def settings() -> tuple[list[str], int]:
    """Repeated parameters, and how many there are."""
    seen: dict[tuple[str, str, str], str] = {}
    repeated, total = [], 0
    for room in ("generative", "decision", "nn/settings.py"):
        for path in [SRC / room] if room.endswith(".py") else sorted((SRC / room).rglob("*.py")):
            if not path.exists() or "layers" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ClassDef):
                    continue
                for key in (*_constructor(node), *_declared(node)):
                    total += 1
                    if key in seen:
                        repeated.append(f"{node.name}: {key[0]}: as in {seen[key]}")
                    seen.setdefault(key, node.name)
    return repeated, total


def _constructor(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    for function in node.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            taken = function.args
            for one, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True):
                kind = "" if one.annotation is None else ast.unparse(one.annotation)
                yield one.arg, kind, "" if default is None else ast.unparse(default)


def _declared(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    for line in node.body:
        if not (isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call)):
            continue
        if getattr(line.value.func, "id", "") != "setting" or not isinstance(line.target, ast.Name):
            continue
        default = next((k.value for k in line.value.keywords if k.arg == "default"), None)
        value = "" if default is None else ast.unparse(default)
        yield line.target.id, ast.unparse(line.annotation), value


def modules() -> dict[str, Path]:
    found = {}
    for path in SRC.rglob("*.py"):
        name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the package that a file imports anywhere but for type checkers."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(a.name for a in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                for alias in child.names:
                    whole = f"{child.module}.{alias.name}"
                    found.add(whole if whole in known else child.module)
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found & known.keys()


def circles() -> list[str]:
    """Strongly connected parts of the graph of imports, by Tarjan's algorithm."""
    known = modules()
    graph = {name: imports(path, known) for name, path in known.items()}
    sys.setrecursionlimit(10_000)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(graph[v]):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            at = stack.index(v)
            if len(stack) - at > 1:
                found.append(" ".join(sorted(stack[at:])))
            del stack[at:]

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def long_files() -> list[str]:
    found = []
    for room in ("src", "tests", "benchmarks", "scripts"):
        for suffix in ("py", "cpp", "h"):
            for path in sorted((ROOT / room).rglob(f"*.{suffix}")):
                lines = len(path.read_text(encoding="utf-8").splitlines())
                if lines > 400:
                    found.append(f"{path.relative_to(ROOT)}: {lines}")
    return found


def family(module: str) -> str | None:
    """``generative.flow``, ``decision.deep``, ``scene.shape``; the rooms of models."""
    parts = module.split(".")
    rooms = ("generative", "decision", "scene", "body", "learning")
    if len(parts) < 3 or parts[1] not in rooms:
        return None
    return parts[1] if parts[1] == "decision" else ".".join(parts[1:3])


def layers() -> tuple[list[str], int, int]:
    """Modules of ``nn`` that at most one family uses, their lines, and the lines of all."""
    known = modules()
    graph = {name: imports(path, known) for name, path in known.items()}
    users: dict[str, set[str]] = defaultdict(set)
    for name in known:
        house = family(name)
        if house is None:
            continue
        todo, seen = [name], set()
        while todo:
            for other in graph[todo.pop()]:
                if other.startswith("phosphene.nn") and other not in seen:
                    seen.add(other)
                    todo.append(other)
        for other in seen:
            users[other].add(house)
    found, one, total = [], 0, 0
    for name, path in sorted(known.items()):
        if name.startswith("phosphene.nn"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            total += lines
            if len(users[name]) <= 1:
                one += lines
                found.append(f"{name}: {lines}: {' '.join(users[name])}")
    return found, one, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="what was counted")
    told = parser.parse_args()
    repeated, parameters = settings()
    single, one, total = layers()
    rows = [
        ("kinds", "shared files that a new kind edits", kinds(), ""),
        ("branches", "branches on a kind or a family", branches(), ""),
        ("methods", "methods asked for by name", methods(), ""),
        ("settings", "constructor parameters that repeat another", repeated, f" of {parameters}"),
        ("circles", "circles of imports", circles(), ""),
        ("long", "files of more than 400 lines", long_files(), ""),
        ("layers", "lines of nn that serve one family", single, ""),
    ]
    for name, what, found, more in rows:
        if told.list:
            print(*(f"    {line}" for line in found), sep="\n")
        count = f"{one} of {total} ({100 * one / total:.0f} %)" if name == "layers" else len(found)
        print(f"{name:9} {what}: {count}{more}")


if __name__ == "__main__":
    main()
