"""The loss of temporal differences: the kernel against torch's own gradients."""

import pytest
import torch

from phosphene.kernels.library import backend, forced
from phosphene.kernels.td_error import td_error, td_error_reference

native = pytest.mark.skipif(backend().library is None, reason=backend().why)


def problem(n, actions, dtype, weighted, double, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return 2 * torch.randn(*shape, generator=g, dtype=dtype)

    given = (
        normal(n, actions).requires_grad_(), torch.randint(actions, (n,), generator=g), normal(n),
        normal(n), normal(n, actions) if double else normal(n),
    )  # fmt: skip
    return given, {
        "weight": normal(n).abs() if weighted else None,
        "chooser": normal(n, actions) if double else None,
    }


@native
@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("weighted", "double"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("huber", [False, True])
def test_the_kernel_is_the_reference(level, dtype, weighted, double, huber):
    for n, actions in ((1, 1), (5, 2), (64, 7)):
        given, named = problem(n, actions, dtype, weighted, double)
        with forced(level):
            ours = td_error(*given, **named, huber=huber)
        theirs = td_error_reference(*given, **named, huber=huber)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)
        assert [x.requires_grad for x in ours] == [True, False, False]
        gradients = [torch.autograd.grad(3 * x[0], given[0])[0] for x in (ours, theirs)]
        torch.testing.assert_close(*gradients)


def test_huber_is_that_of_torch():
    given, _ = problem(200, 3, torch.float64, False, False)
    q, action, reward, discount, value = given
    aim = (reward + discount * value).detach()
    expected = torch.nn.functional.smooth_l1_loss(q.gather(1, action[:, None])[:, 0], aim)
    loss = td_error(*given, huber=True)[0]
    torch.testing.assert_close(loss, expected)
    ours, theirs = (torch.autograd.grad(x, q)[0] for x in (loss, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("huber", [False, True])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none(huber, bad):
    given, _ = problem(4, 2, torch.float32, False, False)
    given[4][2] = bad
    loss = td_error(*given, huber=huber)[0]
    assert not bool(torch.isfinite(loss))


def test_rows_that_are_not_laid_out_in_order_and_none_at_all():
    given, named = problem(6, 3, torch.float32, True, True)
    q = given[0].detach().T.contiguous().T.requires_grad_()
    torch.testing.assert_close(
        td_error(q, *given[1:], **named)[0], td_error_reference(*given, **named)[0]
    )
    empty = [x[:0] for x in given]
    assert td_error(*empty, **{k: v[:0] for k, v in named.items()})[1].shape == (0,)
