"""Writes the source of a gate's function from the declaration of a kernel."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Any

import torch

from phosphene.kernels.declaration import (
    Array,
    Bound,
    Choice,
    Derived,
    Flag,
    Kernel,
    Many,
    Out,
    Range,
    Real,
    Rule,
    Shape,
    Size,
    Type,
    Whole,
)

__all__ = ["Written", "source"]

_FIXED = ("bool", "uint8", "int32", "int64", "float32", "float64")


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


def _tuple(dims: Iterable[object]) -> str:
    return "(" + "".join(f"{d}, " for d in dims) + ")"


def _product(dims: Sequence[object]) -> str:
    return " * ".join(f"({d})" for d in dims) or "1"


@dataclass
class _Writer:
    kernel: Kernel
    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    indent: int = 1

    def __post_init__(self) -> None:
        self.constants |= {f"_{name}": getattr(torch, name) for name in _FIXED}
        arguments = self.kernel.arguments
        self.arrays = [a for a in arguments if isinstance(a, Array)]
        self.many = [a for a in arguments if isinstance(a, Many) and not a.out]
        self.made = [a for a in arguments if isinstance(a, Out) or (isinstance(a, Many) and a.out)]
        self.passed = self.kernel.passes.split()
        self.by_name = {a.name: a for a in arguments}
        self.each = {a.name for a in arguments if isinstance(a, Size) and a.each}
        self.each |= {m.chain[0] for m in self.many if m.chain}
        self.typed = any(isinstance(a, Type) and a.name == "real" for a in arguments)
        real = [a for a in self.arrays if a.dtype == "real" and not a.optional]
        self.like = real[0].name if real else ""
        self.written = [a for a in self.arrays if a.written]

    def put(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    # -- the whole -------------------------------------------------------------------------------

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

    def tensors(self) -> str:
        """All that must be tensors, for what goes wrong: one by one, and in lists."""
        single = "".join(
            f"**({{}} if {a.name} is None else {{{a.name!r}: {a.name}}}), " if a.optional else
            f"{a.name!r}: {a.name}, "
            for a in self.arrays
        )  # fmt: skip
        lists = "".join(f"{a.name!r}: ({a.name}, {a.optional}), " for a in self.many)
        return f"{{{single}}}, {{{lists}}}"

    # -- checks ----------------------------------------------------------------------------------

    @singledispatchmethod
    def check(self, argument: Any) -> None:
        """Nothing is to be said of what is bound or made here."""
        assert isinstance(argument, Bound | Out), argument

    @check.register
    def _(self, argument: Type) -> None:
        if argument.name == "real":
            self.put("_T = real")

    @check.register
    def _(self, argument: Size) -> None:
        if not argument.each:
            name, least = argument.name, int(argument.name not in self.kernel.empty)
            self.put(f"if {name}.__class__ is not int or {name} < {least}:")
            self.put(f"    {name} = whole({name!r}, {name}, {least}, {1 << 62})")
            self.known.add(name)

    @check.register
    def _(self, argument: Derived) -> None:
        self.put(f"{argument.name} = {argument.expression}")
        self.learn(argument.name)

    @check.register
    def _(self, argument: Whole) -> None:
        name, low, high = argument.name, argument.low, argument.high
        self.put(f"if {name}.__class__ is not int or not {low} <= {name} <= {high}:")
        self.put(f"    {name} = whole({name!r}, {name}, {low}, {high})")
        self.known.add(name)

    @check.register
    def _(self, argument: Real) -> None:
        name = argument.name
        low, high = f"_low_{name}", f"_high_{name}"
        self.constants |= {low: float(argument.low), high: float(argument.high)}
        self.put(f"if {name}.__class__ is not float or not {low} <= {name} <= {high}:")
        self.put(f"    {name} = real_number({name!r}, {name}, {low}, {high})")

    @check.register
    def _(self, argument: Flag) -> None:
        name = argument.name
        self.put(f"if {name}.__class__ is not bool:")
        self.put(f"    {name} = flag({name!r}, {name})")

    @check.register
    def _(self, argument: Choice) -> None:
        name = argument.name
        self.constants[f"_codes_{name}"] = dict(argument.codes)
        self.put(f"_code = _codes_{name}.get({name}) if {name}.__class__ is str else None")
        self.put("if _code is None:")
        self.put(f"    choice({name!r}, {name}, _codes_{name})")
        self.put(f"{name} = _code")

    @check.register
    def _(self, argument: Array) -> None:
        name = argument.name
        if argument.optional:
            self.put(f"if {name} is not None:")
            self.indent += 1
        self.number_type(repr(name), name, argument.dtype)
        self.shape_of(argument)
        device = f"{name}.is_cpu"
        self.put(f"if not {device}: _cpu = False")
        if argument.dtype == "real":
            self.put(f"if {name}.requires_grad: _grad = True")
        if argument.written:
            self.put(f"if not {name}.is_contiguous(): apart({{{name!r}: {name}}}, {{}})")
        if argument.optional:
            self.indent -= 1
            if argument.rows:
                self.put(f"else: _{name}_rows = 0")

    def number_type(self, said: str, name: str, dtype: str) -> None:
        """Check the type of one tensor."""
        if dtype == "number":
            self.put(
                f"if {name}.dtype not in TYPES['number']: wrong_type({said}, {name}, 'number')"
            )
        elif dtype != "real":
            dtype = f"_{dtype}" if dtype in _FIXED else dtype
            self.put(f"if {name}.dtype is not {dtype}: wrong_type({said}, {name}, {dtype})")
        elif not self.typed:
            self.typed = True
            self.put(f"_T = {name}.dtype")
            self.put(f"if _T not in TYPES['real']: wrong_type({said}, {name}, 'real')")
        elif self.kernel.mixed:
            self.put(f"if {name}.dtype is not _T:")
            self.put(
                f"    if {name}.dtype not in TYPES['real']: wrong_type({said}, {name}, 'real')"
            )
            self.put("    _mixed = True")
        else:
            self.put(f"if {name}.dtype is not _T: wrong_type({said}, {name}, _T)")

    def shape_of(self, argument: Array) -> None:
        name = argument.name
        if argument.flat:
            (elements,) = argument.shape
            self.put(f"if {name}.numel() != ({elements}):")
            self.put(f"    wrong_shape({name!r}, {name}, ({elements},), locals())")
        elif argument.rows:
            self.put(f"if {name}.dim() == {len(argument.rows)}:")
            self.inner(argument, argument.rows)
            self.put(f"    _{name}_rows = {_product(argument.rows[1:])}")
            self.put("else:")
            self.inner(argument, argument.shape)
            self.put(f"    _{name}_rows = 0")
        elif argument.shape_with:
            self.put(f"if {argument.shape_with[0]} is None:")
            self.inner(argument, argument.shape)
            self.put("else:")
            self.inner(argument, argument.shape_with[1])
        else:
            self.shape(name, argument.shape)

    def inner(self, argument: Array, shape: Shape) -> None:
        self.indent += 1
        assert all(d in self.known for d in shape if str(d).isidentifier()), argument
        self.shape(argument.name, shape)
        self.indent -= 1

    def shape(self, name: str, shape: Shape) -> None:
        """Compare a shape; symbols that stand for the first time take its sizes."""
        wrong = f"wrong_shape({name!r}, {name}, {tuple(map(str, shape))!r}, locals())"
        new = {
            i: d for i, d in enumerate(shape)
            if isinstance(d, str) and d.isidentifier() and d not in self.known
            and d not in shape[:i]
        }  # fmt: skip
        if not new:
            self.put(f"if {name}.shape != {_tuple(shape)}: {wrong}")
            return
        self.put(f"_s = {name}.shape")
        self.put(f"if len(_s) != {len(shape)}: {wrong}")
        for i, symbol in new.items():
            self.put(f"{symbol} = _s[{i}]")
        rest = [f"_s[{i}] != ({d})" for i, d in enumerate(shape) if i not in new]
        if rest:
            self.put(f"if {' or '.join(rest)}: {wrong}")
        for symbol in new.values():
            self.learn(symbol)

    def learn(self, symbol: str) -> None:
        self.known.add(symbol)
        if symbol not in self.kernel.empty:
            self.put(f"if {symbol} < 1: small({{{symbol!r}: {symbol}}})")

    @check.register
    def _(self, argument: Many) -> None:
        if argument.out:
            return
        name = argument.name
        if argument.count in self.known:
            self.put(
                f"if len({name}) != {argument.count}: wrong_length({name!r}, {name}, {argument.count})"
            )
        else:
            self.put(f"{argument.count} = len({name})")
            self.learn(argument.count)
        if not self.typed:
            self.number_type(f"'{name}[0]'", f"{name}[0]", "real")
        self.put("_dense = True")
        self.chained(argument) if argument.chain else self.listed(argument)
        self.put("if not _dense:")
        keep = "_t if _t is None or _t.is_contiguous() else "
        self.put(f"    {name} = [{keep}dense({name!r}, _t) for _t in {name}]")

    def chained(self, argument: Many) -> None:
        assert argument.chain is not None
        (symbol, begins), name = argument.chain, argument.name
        self.put(f"{symbol}, _before = [], {begins}")
        self.put(f"for _i, _t in enumerate({name}):")
        self.indent += 1
        self.item(argument)
        self.put("_s = _t.shape")
        self.put("if len(_s) != 2 or _s[1] != _before:")
        shape = f"({symbol!r}, '{begins}' if _i == 0 else \"{symbol}'\")"
        values = f'{{**locals(), "{symbol}\'": _before}}'
        self.put(f"    wrong_shape(f'{name}[{{_i}}]', _t, {shape}, {values})")
        self.put("_before = _s[0]")
        self.put(f"if _before < 1: small({{{symbol!r}: _before}})")
        self.put(f"{symbol}.append(_before)")
        self.indent -= 1
        self.put(f"{symbol}_last = _before")
        self.known |= {symbol, f"{symbol}_last"}

    def listed(self, argument: Many) -> None:
        name, shape = argument.name, argument.shape
        each = [s for s in self.each if any(re.search(rf"\b{s}\b", str(d)) for d in shape)]
        dims = [re.sub(r"\b(" + "|".join(each) + r")\b", r"\1_", str(d)) for d in shape]
        loop = ", ".join(["_t", *(f"{s}_" for s in each)])
        lists = ", ".join([name, *each])
        self.put(f"for _i, ({loop},) in enumerate(zip({lists})):")
        self.indent += 1
        if argument.optional:
            self.put("if _t is None: continue")
        self.item(argument)
        if argument.rows_as:
            self.put(
                f"_wanted = {_tuple(['n', *dims])} if _{argument.rows_as}_rows else {_tuple(dims)}"
            )
        else:
            self.put(f"_wanted = {_tuple(dims)}")
        self.put(f"if _t.shape != _wanted: wrong_shape(f'{name}[{{_i}}]', _t, _wanted, {{}})")
        self.indent -= 1

    def item(self, argument: Many) -> None:
        self.number_type(f"f'{argument.name}[{{_i}}]'", "_t", "real")
        self.put("if not _t.is_cpu: _cpu = False")
        self.put("if _t.requires_grad: _grad = True")
        self.put("if not _t.is_contiguous(): _dense = False")

    # -- rules -----------------------------------------------------------------------------------

    def rules(self, *, inside: bool) -> None:
        for rule in self.kernel.rules:
            if rule.inside is inside:
                self.rule(rule)

    def rule(self, rule: Range | Rule) -> None:
        if isinstance(rule, Rule):
            self.put(f"if not ({rule.holds}): broken({rule.sentence!r}, locals())")
            return
        argument, when = self.by_name[rule.name], rule.when
        if getattr(argument, "optional", False):
            when = f"{rule.name} is not None" + (f" and ({when})" if when else "")
        said = rule.said or rule.name
        check = f"in_range({said!r}, {rule.part or rule.name}, {rule.low}, {rule.high})"
        self.put(f"if {when}: {check}" if when else check)

    # -- calling ---------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Decide whether the library computes; make outputs, and memory that it can read."""
        if self.written:
            self.apart()
        for made in self.made:
            self.room(made)
        self.put("_library = backend().library")
        types = " or _T not in NATIVE" if not self.kernel.suffix else ""
        self.put(f"if not _cpu or _mixed or _library is None{types} or (_grad and recording()):")
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
        key = "".join(
            f"{a.name}.data_ptr(), {a.name}.shape, {a.name}.stride(), " if not a.optional else
            f"{a.name} if {a.name} is None else ({a.name}.data_ptr(), {a.name}.shape), "
            for a in self.arrays
        )  # fmt: skip
        self.put(f"_key = ({key})")
        self.put("if functions.get('apart') != _key:")
        pairs = ["{" + ", ".join(f"{a.name!r}: {a.name}" for a in group) + "}" for group in (
            self.written, [a for a in self.arrays if not a.written])]  # fmt: skip
        self.put(f"    apart({', '.join(pairs)})")
        self.put("    functions['apart'] = _key")

    def rows_apart(self, a: Array) -> None:
        inner = [_product(a.shape[i + 1 :]) for i in range(1, len(a.shape))]
        self.put(
            f"if {a.name}.stride()[1:] != {_tuple(inner)}: {a.name} = dense({a.name!r}, {a.name})"
        )
        self.put(f"_{a.name}_rows = {a.name}.stride(0)")

    def room(self, made: Out | Many) -> None:
        """Products of sizes may be larger than any tensor: what is made must fit into memory."""
        size = _product(made.shape)
        for each in self.each if isinstance(made, Many) else ():
            size = re.sub(rf"\b{each}\b", f"sum({each})", size)
        if any(isinstance(d, str) for d in made.shape):
            self.put(f"if {size} > MOST: room({made.name!r}, {size})")

    def make(self, made: Out | Many) -> None:
        name = made.name
        if isinstance(made, Many):
            dims = [re.sub(rf"\b({'|'.join(self.each)})\b", r"\1_", str(d)) for d in made.shape]
            (each,) = (s for s in self.each if f"{s}_" in dims)
            self.put(f"{name} = [{self.like}.new_empty({_tuple(dims)}) for {each}_ in {each}]")
            return
        new = "zeros" if made.zeros or made.begins else "empty"
        fresh = f"{self.like}.new_{new}({_tuple(made.shape)})"
        if made.dtype != "real":
            fresh = f"torch.{new}({_tuple(made.shape)}, dtype=_{made.dtype})"
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
        kept = _tuple(a.name for a in self.arrays)
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
            return f"None if {name} is None else {place}" if maybe else place
        return name

    def c_kind(self, name: str) -> str:
        """Which type of C the library gets for it."""
        argument = self.by_name.get(name)
        if isinstance(argument, Array | Out | Many | Bound) or name in self.each:
            return "pointer"
        return "double" if isinstance(argument, Real) else "int"
