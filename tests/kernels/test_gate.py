"""The gate before the native library: declarations agree with C, and nothing passes beside it."""

import ast
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

import phosphene
from phosphene.core.errors import KernelError, UnknownNameError
from phosphene.generative.autoregressive.nade import sample_in_turn
from phosphene.kernels import nade
from phosphene.kernels.declaration import Array, Kernel, Out, Range
from phosphene.kernels.gate import DECLARED, gate
from phosphene.kernels.gate_source import source
from phosphene.kernels.library import backend, forced
from phosphene.kernels.sum_tree import tree_set
from phosphene.kernels.td_error import td_error
from tests.kernels import fuzz_cases  # imports every kernel

ROOT = Path(phosphene.__file__).parent
native = pytest.mark.skipif(backend().library is None, reason=backend().why)
nade_sample = partial(nade.nade_sample, formula=sample_in_turn)
assert fuzz_cases.TARGETS


def exported():
    """Symbol to the kinds of its arguments, as the sources say."""
    found = {}
    for path in sorted((ROOT / "kernels" / "src").glob("*.cpp")):
        text = re.sub(r"//[^\n]*", "", path.read_text()).replace("\\\n", " ")
        process = re.search(r"#define PH_PROCESS(.*)", text)
        uses = re.findall(r"^(PH_\w+)\((\w+), ([\w, ]+)\)$", text, re.M)
        plain = text.replace("PH_PROCESS,", process[1] + ",") if process else text
        for name, given in re.findall(r"PH_API [\w:]+ (\w+)\(([^)]*)\)", plain):
            kinds = ["pointer" if "*" in a else "double" if "double" in a else "int"
                     for a in given.split(",") if a.strip()]  # fmt: skip
            names = [name]
            if name.isupper():
                macro = next(m for m in re.findall(r"#define (PH_\w+)\(([^)]*)\)[^#]*", text)
                             if name in m[1])  # fmt: skip
                place = macro[1].replace(" ", "").split(",").index(name)
                names = [[t, *symbols.replace(" ", "").split(",")][place]
                         for used, t, symbols in uses if used == macro[0]]  # fmt: skip
            found |= dict.fromkeys(names, kinds)
    return found


def declared():
    found = {}
    for kernel in DECLARED.values():
        if kernel.passes and kernel.returns != "structure":
            kinds = [kind for _, kind in source(kernel).c_types]
            for suffix in (kernel.suffix,) if kernel.suffix else ("f32", "f64"):
                found[f"ph_{kernel.name}_{suffix}"] = kinds
    return found


def test_every_exported_symbol_is_declared_with_the_types_that_c_has():
    symbols = {k: v for k, v in exported().items() if k not in ("ph_interface", "ph_vector_bytes")}
    assert len(symbols) > 20
    assert declared() == symbols


@native
def test_every_declared_symbol_is_in_the_library():
    assert all(hasattr(backend().library, name) for name in declared())


def test_no_module_but_the_gate_touches_the_library():
    may = {"gate.py", "library.py"}
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent.name == "kernels" and path.name in may:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", None)]
                assert "ctypes" not in names, f"{path} imports ctypes"
            if isinstance(node, ast.Attribute | ast.Name | ast.Constant):
                said = getattr(node, "attr", getattr(node, "id", getattr(node, "value", None)))
                assert not (isinstance(said, str) and said.startswith("ph_") and " " not in said)


CASES = [
    (lambda: nade_sample(*(torch.zeros(s) for s in ((3, 2), (3, 2), 3, 2, (4, 5)))),
     "u must have shape (n, D) with n = 4, D = 3, got (4, 5)"),
    (lambda: nade_sample(*(torch.zeros(s) for s in ((3, 2), (3, 2), (1, 3), 2, (4, 3)))),
     "b must have shape (n, D) with n = 4, D = 3, got (1, 3)"),
    (lambda: nade_sample(*(torch.zeros(s) for s in ((3, 2), (3, 2), 3, 2, (4, 3))),
                         temperature=float("nan")), "temperature must be a number"),
    (lambda: nade_sample(torch.zeros(3, 2), torch.zeros(3, 2).double(),
                         *(torch.zeros(s) for s in (3, 2, (4, 3)))), "v must be float32"),
    (lambda: nade_sample(*(torch.zeros(s, device="meta") for s in ((3, 2), (3, 2), 3, 2, (4, 3)))),
     "it is on the meta device"),
    (lambda: nade_sample(None, *(torch.zeros(s) for s in ((3, 2), 3, 2, (4, 3)))),
     "w must be a tensor, got nothing"),
    (lambda: td_error(torch.zeros(2, 3), torch.tensor([0, 3]), *[torch.zeros(2)] * 3),
     "action must be from 0 to 2, got 3"),
    (lambda: tree_set(torch.zeros(6).double(), torch.tensor([0]), torch.zeros(1).double()),
     "m a power of two, got 6"),
    (lambda: (lambda tree: tree_set(tree, torch.arange(2), tree[1:3]))(torch.zeros(4).double()),
     "share memory"),
    (lambda: tree_set(torch.zeros(8).double()[::2], torch.tensor([0]), torch.zeros(1).double()),
     "must be contiguous"),
]  # fmt: skip


@pytest.mark.parametrize("choice", ["auto", "off"])
@pytest.mark.parametrize(("call", "sentence"), CASES, ids=[s for _, s in CASES])
def test_what_is_refused_is_one_sentence_on_either_path(call, sentence, choice):
    with forced(choice), torch.no_grad(), pytest.raises(KernelError) as refused:
        call()
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_activation_is_named():
    arrays = [torch.zeros(s) for s in ((3, 2), (3, 2), 3, 2, (4, 3))]
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        nade_sample(*arrays, activation="rellu")


def test_outputs_that_no_memory_could_hold_are_refused():
    u = torch.zeros(1, 1).expand(1 << 40, 3)
    arrays = [torch.zeros(s) for s in ((3, 2), (3, 2), 3, 2)]
    with pytest.raises(KernelError, match="more than this machine's memory"):
        nade_sample(*arrays, u)


def test_a_declaration_is_all_that_a_new_kernel_needs():
    kernel = Kernel("", (Array("a", ("n",), "int64"), Out("b", ("n",))), "n a b threads",
                    (Range("a", "0", "n"),))  # fmt: skip
    written = source(kernel)
    assert [kind for _, kind in written.c_types] == ["int", "pointer", "pointer", "int"]
    check = gate(Kernel("", kernel.arguments[:1], rules=kernel.rules), "test of a declaration")
    del DECLARED["test of a declaration"]
    check(torch.arange(3))
    with pytest.raises(KernelError, match="a must be from 0 to 2, got 3"):
        check(torch.tensor([0, 1, 3]))


@native
def test_any_number_of_threads_of_torch_leaves_the_library_whole():
    code = """if True:
        import torch
        from phosphene.kernels import gate
        from phosphene.generative.autoregressive.nade import sample_in_turn
        from phosphene.kernels.nade import nade_sample
        torch.get_num_threads = lambda: 1_000_000
        assert gate._threads() == 1024
        arrays = [torch.zeros(s) for s in ((3, 2), (3, 2), 3, 2, (100_000, 3))]
        print(float(nade_sample(*arrays, formula=sample_in_turn).mean()))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "0.0", done.stderr
