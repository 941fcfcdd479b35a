"""Counts the assertions of the laws, so that none passes without having asserted anything.

The modules of this folder that are not tests are compiled with a call before each ``assert``.
"""

import ast
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

__all__ = ["asserted", "asserting", "install"]

_PACKAGE = "tests.laws."
_COUNT = [0]


def asserted() -> None:
    """An assertion is about to be made."""
    _COUNT[0] += 1


def asserting(law: Callable[..., None], *case: object) -> None:
    """Hold a case to a law that must assert something about it."""
    before = _COUNT[0]
    law(*case)
    if _COUNT[0] == before:
        name = getattr(law, "__name__", law)
        raise AssertionError(f"{name} asserted nothing: it does not concern this case, or is blind")


class _EachAssert(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        (call,) = ast.parse("_asserted_()").body
        return [ast.copy_location(call, node), node]


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.fix_missing_locations(_EachAssert().visit(ast.parse(self.get_data(path), path)))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["_asserted_"] = asserted
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        own = fullname.removeprefix(_PACKAGE)
        if own == fullname or own.startswith("test_"):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def install() -> None:
    """Have the modules of the laws that are imported from now on counted."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
