"""Writes the source of a gate's function: its checks, and then the call of the library."""

import re
from dataclasses import dataclass
from typing import Any

from phosphene.kernels.declaration import Array, Bound, Derived, Kernel, Many, Out, Real, Whole
from phosphene.kernels.gate_checks import Checks, product_of, tuple_of

__all__ = ["Written", "source"]


@dataclass(frozen=True)
class Written:
    """A gate's function as text.

    Args:
        text: Its source.
        constants: What it reads by name.
        c_types: Name and kind (``pointer``, ``int`` or ``double``) of what the library gets.
    """

    text: str
    constants: dict[str, Any]
    c_types: list[tuple[str, str]]


def source(kernel: Kernel) -> Written:
    """The function ``call`` of that kernel."""
    writer = _Writer(kernel)
    body = writer.function()
    return Written(body, writer.constants, [(name, writer.c_kind(name)) for name in writer.passed])


class _Writer(Checks):
    def function(self) -> str:
        given = [a.name for a in self.kernel.arguments if not isinstance(a, Derived)]
        made = {a.name for a in self.made}
        self.put("try:")
        self.indent += 1
        self.put("_cpu, _grad, _mixed, _T = True, False, False, None")
        for argument in self.kernel.arguments:
            self.check(argument)
        self.rules(inside=False)
        self.put(f"if not _cpu: one_device({self.tensors()})")
        if self.passed:
            self.prepare()
        else:
            self.rules(inside=True)
        self.indent -= 1
        self.put("except (AttributeError, IndexError, RuntimeError, TypeError) as _error:")
        self.put(f"    misfit({self.tensors()}, _error)")
        if self.passed:
            self.structure() if self.kernel.returns == "structure" else self.invoke()
        head = f"def call({', '.join(name for name in given if name not in made)}):\n"
        return head + "\n".join(self.lines) + "\n"

    # -- calling ---------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Decide whether the library computes; make outputs, and memory that it can read."""
        if self.written:
            self.apart()
        for made in self.made:
            self.room(made)
        self.put("_library = backend().library")
        types = " or _T not in NATIVE" if not self.kernel.suffix else ""
        torchs = "(_grad and recording()) or transformed()"
        self.put(f"if not _cpu or _mixed or _library is None{types} or {torchs}:")
        self.indent += 1
        for a in self.arrays:  # the library would need them dense
            there = f"{a.name} is not None and " if a.optional else ""
            self.put(f"if {there}{a.name}.numel() > MOST: room({a.name!r}, {a.name}.numel())")
        self.rules(inside=True)
        self.put("return None")
        self.indent -= 1
        for made in self.made:
            self.make(made)
        for a in self.arrays:
            if a.name not in self.passed:
                continue
            if a.strided:
                self.rows_apart(a)
            elif not a.written:
                there = f"{a.name} is not None and " if a.optional else ""
                self.put(f"if {there}not {a.name}.is_contiguous():")
                self.put(f"    {a.name} = dense({a.name!r}, {a.name})")

    def apart(self) -> None:
        """No two share memory where one is written; the same memory is looked at once."""
        counted = {a.name for a in self.kernel.arguments if isinstance(a, Whole)}
        sizes = sorted(self.known - self.each - counted)
        parts = []
        for a in self.arrays:
            there = f"None if {a.name} is None else " if a.optional else ""
            self.put(f"_at_{a.name} = {there}{a.name}.data_ptr()")
            parts.append(f"_at_{a.name}")
        # Sizes give all shapes, and what is dense has no strides of its own.
        read = [a for a in self.arrays if not a.written]
        parts += [
            f"{a.name} is None or {a.name}.is_contiguous() or {a.name}.stride()" for a in read
        ]
        self.put(f"_key = {tuple_of([*parts, *sizes])}")
        self.put("if functions.get('apart') != _key:")
        pairs = ["{" + ", ".join(f"{a.name!r}: {a.name}" for a in group) + "}" for group in (
            self.written, [a for a in self.arrays if not a.written])]  # fmt: skip
        self.put(f"    apart({', '.join(pairs)})")
        self.put("    functions['apart'] = _key")

    def rows_apart(self, a: Array) -> None:
        inner = [product_of(a.shape[i + 1 :]) for i in range(1, len(a.shape))]
        self.put(
            f"if {a.name}.stride()[1:] != {tuple_of(inner)}: {a.name} = dense({a.name!r}, {a.name})"
        )
        self.put(f"_{a.name}_rows = {a.name}.stride(0)")

    def room(self, made: Out | Many) -> None:
        """Products of sizes may be larger than any tensor: what is made must fit into memory."""
        size = product_of(made.shape)
        for each in self.each if isinstance(made, Many) else ():
            size = re.sub(rf"\b{each}\b", f"sum({each})", size)
        if any(isinstance(d, str) for d in made.shape):
            self.put(f"if {size} > MOST: room({made.name!r}, {size})")

    def make(self, made: Out | Many) -> None:
        name = made.name
        if isinstance(made, Many):
            dims = [re.sub(rf"\b({'|'.join(self.each)})\b", r"\1_", str(d)) for d in made.shape]
            (each,) = (s for s in self.each if f"{s}_" in dims)
            self.put(f"{name} = [{self.like}.new_empty({tuple_of(dims)}) for {each}_ in {each}]")
            return
        new = "zeros" if made.zeros or made.begins else "empty"
        fresh = f"{self.like}.new_{new}({tuple_of(made.shape)})"
        if made.dtype != "real":
            fresh = f"torch.{new}({tuple_of(made.shape)}, dtype=_{made.dtype})"
        self.put(f"{name} = {fresh}" + (f" if {made.when} else None" if made.when else ""))
        if made.begins:
            self.put(f"if {made.begins} is not None: {name}.copy_({made.begins})")

    def invoke(self) -> None:
        outputs = ", ".join(a.name for a in self.made)
        if len(self.made) == 1 and getattr(self.made[0], "when", None):
            outputs = f"({outputs},)"  # None says that the library cannot compute
        free = [s for s in self.kernel.empty if self.made and all(
            re.search(rf"\b{s}\b", str(a.shape)) for a in self.made)]  # fmt: skip
        if free:
            self.put(f"if {' or '.join(f'{s} == 0' for s in free)}: return {outputs}")
        dtype = "None" if self.kernel.suffix else "_T"
        self.put(f"_function = functions.get((_library, {dtype})) or bind(_library, {dtype})")
        self.put(f"_status = _function({', '.join(map(self.passing, self.passed))})")
        if self.kernel.returns == "status":
            self.put("return _status")
            return
        self.put("if _status:")
        self.indent += 1
        self.put(f"if _status == 2: memory({self.kernel.name!r})")
        self.rules(inside=True)
        self.put(f"broken('the kernel {self.kernel.name} refused its arguments', {{}})")
        self.indent -= 1
        self.put(f"return {outputs or True}")

    def structure(self) -> None:
        kept = tuple_of(a.name for a in self.arrays)
        self.put(f"_structure = Structure({', '.join(map(self.passing, self.passed))})")
        self.put(f"_structure.kept = {kept}")
        self.put("return _structure")

    def passing(self, name: str) -> str:
        """The expression of what the library gets."""
        argument = self.by_name.get(name)
        if name == "threads":
            return "threads_of()"
        if name.endswith(".rows"):
            return f"_{name[:-5]}_rows"
        if isinstance(argument, Many):
            return f"addresses({name})"
        if name in self.each:
            return f"words({name})"
        if isinstance(argument, Array | Out):
            maybe = argument.optional if isinstance(argument, Array) else argument.when
            place = f"{name}.data_ptr()"
            if isinstance(argument, Array) and argument.written:
                return f"_at_{name}"
            return f"None if {name} is None else {place}" if maybe else place
        return name

    def c_kind(self, name: str) -> str:
        """Which type of C the library gets for it."""
        argument = self.by_name.get(name)
        if isinstance(argument, Array | Out | Many | Bound) or name in self.each:
            return "pointer"
        return "double" if isinstance(argument, Real) else "int"
