"""What a benchmark says of the machine's limit, and of where time goes."""

import time

import pytest
import torch
from torch import nn

from benchmarks import limits, profiles
from benchmarks.common import Case, measure, run_all
from benchmarks.watch import Watch


def test_products_are_counted_forward_and_backward():
    layer, x = nn.Linear(30, 20), torch.randn(10, 30, requires_grad=True)

    def step(watch):
        layer(x).sum().backward()

    done = limits.written(step)
    assert done.flops == 3 * 2 * 10 * 20 * 30  # of the output, of the weights, of x
    assert sum(done.products.values()) == 3
    assert done.operators > 3


def test_only_what_lies_between_the_marks_is_written():
    a = torch.randn(8, 8)

    def work(watch):
        a @ a @ a
        watch.start()
        a @ a
        watch.stop()
        a @ a

    assert limits.written(work).flops == 2 * 8**3


def test_other_operators_count_their_bytes_and_views_none():
    a = torch.randn(100)
    assert limits.written(lambda watch: a[:50].view(5, 10)).bytes == 0
    assert limits.written(lambda watch: a.exp()).bytes == 800  # read and written


@pytest.mark.parametrize(
    "work",
    [
        lambda: torch.mm(torch.randn(4, 5), torch.randn(6, 5).t()),
        lambda: torch.bmm(torch.randn(1, 4, 5).expand(3, 4, 5), torch.randn(3, 5, 2)),
        lambda: nn.functional.conv2d(
            torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last), torch.randn(4, 3, 3, 3)
        ),
    ],
    ids=["transposed", "expanded", "channels last"],
)
def test_a_product_is_done_again_on_numbers_that_lie_alike(work):
    done = limits.written(lambda watch: work())
    (product,) = done.products
    again = limits.written(lambda watch: product.again()())
    assert again.products == done.products
    assert again.flops == done.flops > 0


def test_work_that_is_a_product_is_at_the_limit_and_what_waits_is_not():
    a = torch.randn(300, 300)

    def idle():
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass

    found = limits.limit_of(lambda watch: a @ a)
    assert found.copies_ms == 0
    assert found.fraction(found.products_ms) == 1
    assert found.gflops == pytest.approx(found.flops / found.products_ms / 1e6)
    slow = limits.limit_of(lambda watch: (a @ a, idle()))
    assert slow.flops == found.flops
    assert slow.fraction(slow.products_ms + 20) < 0.9


def test_what_kernels_multiply_is_told():
    found = limits.limit_of(lambda watch: None, also=((4, 5, 6), (4, 5, 6)))
    assert found.flops == 2 * 2 * 4 * 5 * 6
    assert found.products_ms > 0


def test_a_profile_has_the_work_between_the_marks_by_its_kind():
    a = torch.randn(300, 300)

    def work(watch):
        sum(i for i in range(100_000))
        watch.start()
        for _ in range(5):
            torch.mm(a, a)
        watch.stop()
        sum(i for i in range(100_000))

    shares, calls = profiles.parts(work)
    assert next(iter(shares)) == "torch's operators"
    assert sum(shares.values()) == pytest.approx(1)
    assert calls < 50
    assert profiles._part("/x/site-packages/gymnasium/core.py") == "gymnasium in Python"
    assert profiles._part("<gate of td_error>") == "kernel td_error"
    assert profiles._built_in("<built-in method posix.fsync>") == "files"


def test_a_slower_row_says_why_and_a_bound_row_how_near_it_is(capsys):
    a = torch.randn(200, 200)

    def much(watch):
        for _ in range(8):
            a @ a

    def little(watch):
        return a @ a

    slow = Case("slow", "torch", lambda: 0.0, little, much, rounds=3, bound=())
    fast = Case("fast", "torch", lambda: 0.0, much, little, rounds=3)
    limit, why = measure(slow, 1).notes
    assert "of the machine's limit" in limit
    assert "GFLOP/s" in limit
    assert why.startswith("why: ours")
    assert "theirs" in why
    assert measure(fast, 1).notes == ()
    run_all([slow], 1)
    assert capsys.readouterr().out.count("\n    ") == 2
    assert "notes" not in measure(fast, 1).to_json()


def test_every_watch_keeps_its_time():
    for watch in (Watch(), profiles._Profiled()):
        watch.start()
        watch.stop()
        before = watch.wall
        watch.stop()
        assert watch.stopped
        assert watch.wall == before < 1
