"""Writes the checks of a gate's function from the declaration of a kernel."""

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

__all__ = ["Checks", "product_of", "tuple_of"]

_FIXED = ("bool", "uint8", "int32", "int64", "bfloat16", "float32", "float64")


def tuple_of(dims: Iterable[object]) -> str:
    """The expression of a tuple."""
    return "(" + "".join(f"{d}, " for d in dims) + ")"


def product_of(dims: Sequence[object]) -> str:
    """The expression of a product."""
    return " * ".join(f"({d})" for d in dims) or "1"


@dataclass
class Checks:
    """Writes the checks of one kernel's arguments."""

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
        """Write a line."""
        self.lines.append("    " * self.indent + line)

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
        """Check a shape that may be one of several."""
        name = argument.name
        if argument.flat:
            (elements,) = argument.shape
            self.put(f"if {name}.numel() != ({elements}):")
            self.put(f"    wrong_shape({name!r}, {name}, ({elements},), locals())")
        elif argument.rows:
            self.put(f"if {name}.dim() == {len(argument.rows)}:")
            self.inner(argument, argument.rows)
            self.put(f"    _{name}_rows = {product_of(argument.rows[1:])}")
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
        """Check one of several shapes; which it is must give no symbol its value."""
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
            self.put(f"if {name}.shape != {tuple_of(shape)}: {wrong}")
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
        """A symbol has its value from here on."""
        self.known.add(symbol)
        if symbol not in self.kernel.empty:
            self.put(f"if {symbol} < 1: small({{{symbol!r}: {symbol}}})")

    @check.register
    def _(self, argument: Many) -> None:
        if argument.out:
            return
        name = argument.name
        if argument.count in self.known:
            self.put(f"if len({name}) != {argument.count}:")
            self.put(f"    wrong_length({name!r}, {name}, {argument.count})")
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
        """Items each of which reads what the one before gives."""
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
        """Items each of which has sizes of its own."""
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
            rows = tuple_of(["n", *dims])
            self.put(f"_wanted = {rows} if _{argument.rows_as}_rows else {tuple_of(dims)}")
        else:
            self.put(f"_wanted = {tuple_of(dims)}")
        self.put(f"if _t.shape != _wanted: wrong_shape(f'{name}[{{_i}}]', _t, _wanted, {{}})")
        self.indent -= 1

    def item(self, argument: Many) -> None:
        """Check what is the same of all items."""
        self.number_type(f"f'{argument.name}[{{_i}}]'", "_t", "real")
        self.put("if not _t.is_cpu: _cpu = False")
        self.put("if _t.requires_grad: _grad = True")
        self.put("if not _t.is_contiguous(): _dense = False")

    # -- rules -----------------------------------------------------------------------------------

    def rules(self, *, inside: bool) -> None:
        """Check the rules that the library does not look after, or those that it does."""
        for rule in self.kernel.rules:
            if rule.inside is inside:
                self.rule(rule)

    def rule(self, rule: Range | Rule) -> None:
        """Check one."""
        if isinstance(rule, Rule):
            self.put(f"if not ({rule.holds}): broken({rule.sentence!r}, locals())")
            return
        argument, when = self.by_name[rule.name], rule.when
        if getattr(argument, "optional", False):
            when = f"{rule.name} is not None" + (f" and ({when})" if when else "")
        said = rule.said or rule.name
        check = f"in_range({said!r}, {rule.part or rule.name}, {rule.low}, {rule.high})"
        self.put(f"if {when}: {check}" if when else check)
