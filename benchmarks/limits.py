"""How near a piece of work is to the machine's limit: the same products alone, and copies.

What a call does in torch is written down once: every matrix product and convolution with the shapes
of what it reads, and the bytes that all other operators read and write. Then the same products are
run alone, on numbers of the same shapes, strides and types and with as many threads, and as many
bytes are copied. Both together are about the least that this machine takes for what was asked:

    fraction = (time of the products alone + time of the copies) / time of the work

All times are of the processor, which other programs on the machine disturb least.

A fraction of 1 says that nothing is left to gain without other arithmetic. Operators that overlap
or find their numbers in the caches can be faster than copies, so that it may exceed 1 a little.
Native kernels are not operators of torch: what they multiply is told by ``also``.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.flop_counter import flop_registry

from benchmarks.watch import Timed, Watch

__all__ = ["Limit", "Product", "Written", "limit_of", "products", "written"]

Shapes = tuple[tuple[int, int, int], ...]
_LEAST = 1 << 16
"""Bytes of a copy below which it measures a call, not the memory."""
_MOST = 1 << 26


@dataclass(frozen=True)
class Product:
    """One product that was done: its operator, and what it was given.

    Args:
        operator: Of torch.
        given: The arguments, a tensor as (shape, strides, type).
        spec: How they are nested.
    """

    operator: Any
    given: tuple[Any, ...]
    spec: Any

    def again(self) -> Callable[[], object]:
        """The same on other numbers."""
        made = [_made(*a[1:]) if _is_tensor(a) else a for a in self.given]
        arguments, options = tree_unflatten(made, self.spec)
        return lambda: self.operator(*arguments, **options)


@dataclass
class Written:
    """What was done: products with how often, their floating-point operations, and other bytes.

    Args:
        products: With how often.
        flops: Of all products.
        bytes: That other operators read and wrote.
        operators: How many there were, views left out.
    """

    products: "Counter[Product]"
    flops: float = 0.0
    bytes: int = 0
    operators: int = 0


@dataclass(frozen=True)
class Limit:
    """What the machine takes for the products alone and for the copies.

    Args:
        products_ms: The products alone, milliseconds.
        gflops: What it reaches on them, 1e9 operations a second.
        copies_ms: Copies of as many bytes as all else reads and writes.
        gbytes: What they reach, 1e9 bytes read and written a second.
        operators: Operators of the work.
        flops: Operations of the products.
    """

    products_ms: float
    gflops: float
    copies_ms: float
    gbytes: float
    operators: int
    flops: float

    def fraction(self, milliseconds: float) -> float:
        """Of the machine's limit, for work that takes so long."""
        return (self.products_ms + self.copies_ms) / milliseconds

    def told(self, milliseconds: float) -> str:
        """One line."""
        reached = self.flops / milliseconds / 1e6
        return (
            f"{self.fraction(milliseconds):.2f} of the machine's limit: products alone "
            f"{self.products_ms:.2f} ms ({self.gflops:.1f} GFLOP/s, here {reached:.1f}), copies of "
            f"the rest {self.copies_ms:.2f} ms ({self.gbytes:.1f} GB/s), of {milliseconds:.2f} ms "
            f"and {self.operators} operators"
        )


def limit_of(work: Timed, also: Shapes = (), rounds: int = 15) -> Limit:
    """The limit of what this does between the marks of its watch.

    Args:
        work: Done by operators of torch; it was done before, so that nothing is new to it.
        also: (n, m, k) of products (n, k) (k, m) in float32 that kernels do besides.
        rounds: Times each product is measured; medians count.

    Example:
        >>> a = torch.randn(64, 64)
        >>> found = limit_of(lambda watch: a @ a)
        >>> found.flops, found.operators
        (524288.0, 1)
    """
    done = written(work)
    for product in products(also):
        done.products[product] += 1
    done.flops += sum(2.0 * n * m * k for n, m, k in also)
    alone = sum(many * _median(p.again(), rounds) for p, many in done.products.items())
    size = min(max(done.bytes // max(done.operators, 1), _LEAST), _MOST)
    speed = size / _copying(size // 2, rounds)
    return Limit(
        1e3 * alone, done.flops / alone / 1e9 if alone else 0.0, 1e3 * done.bytes / speed,
        speed / 1e9, done.operators, done.flops,
    )  # fmt: skip


def products(shapes: Shapes) -> Iterator[Product]:
    """Products (n, k) (k, m) of float32."""
    for n, m, k in shapes:
        a, b = torch.empty(n, k), torch.empty(k, m)
        yield _product(torch.ops.aten.mm.default, (a, b), {})


def written(work: Timed) -> Written:
    """What is done between the marks, by operators of torch; a backward pass is in them too."""
    mode = _Writing()
    with mode:
        watch = _Marks(mode)
        work(watch)
        watch.stop()
    return mode.done


class _Marks(Watch):
    """A watch that begins what is written, and ends it."""

    def __init__(self, mode: "_Writing") -> None:
        self._mode = mode
        super().__init__()

    def start(self) -> None:
        """Forget what was written so far."""
        self._mode.done, self._mode.writes = Written(Counter()), True
        super().start()

    def stop(self) -> None:
        """Write no more."""
        self._mode.writes = False
        super().stop()


class _Writing(TorchDispatchMode):
    """Writes down every operator."""

    def __init__(self) -> None:
        super().__init__()
        self.done, self.writes = Written(Counter()), False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        out = func(*args, **options)
        if not self.writes:
            return out
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.done.operators += 1
            self.done.flops += float(count(*args, **options, out_val=out))
            self.done.products[_product(func, args, options)] += 1
        elif not _view(func):
            self.done.operators += 1
            met = tree_flatten((args, options, out))[0]
            self.done.bytes += sum(t.nbytes for t in met if isinstance(t, Tensor))
        return out


def _view(func: Any) -> bool:
    """Whether what it gives shares memory with what it is given, and nothing is moved."""
    return any(
        r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns
    ) or func.overloadpacket.__name__ in ("empty", "empty_strided", "empty_like", "new_empty")


def _product(func: Any, args: Sequence[Any], options: Any) -> Product:
    leaves, spec = tree_flatten((tuple(args), dict(options)))
    told = [
        ("tensor", tuple(a.shape), a.stride(), a.dtype) if isinstance(a, Tensor) else a
        for a in leaves
    ]
    return Product(func, tuple(told), spec)


def _is_tensor(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 4 and given[0] == "tensor"


def _made(shape: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    last = sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    flat = torch.zeros(max(last, 0) + 1, dtype=dtype)  # rows may be one and the same in memory
    if dtype.is_floating_point:
        flat.uniform_(-1, 1)
    return flat.as_strided(shape, stride)


def _copying(size: int, rounds: int) -> float:
    a = torch.zeros(max(size // 4, 1))
    b = torch.zeros_like(a)
    return _median(lambda: b.copy_(a), rounds)


@torch.no_grad()
def _median(work: Callable[[], object], rounds: int) -> float:
    """Processor seconds of one call, the median over batches of about a millisecond."""
    work()
    many = max(1, int(1e-3 / max(_seconds(work, 1), 1e-7)))
    return statistics.median(_seconds(work, many) for _ in range(rounds))


def _seconds(work: Callable[[], object], many: int) -> float:
    start = time.process_time()
    for _ in range(many):
        work()
    return (time.process_time() - start) / many
