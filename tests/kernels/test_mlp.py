"""The perceptrons' kernels against their reference and its gradients."""

from itertools import pairwise

import pytest
import torch

from phosphene.kernels.library import ACTIVATION_CODES, backend, forced
from phosphene.kernels.mlp import (
    Networks,
    mlp_backward,
    mlp_forward,
    mlp_reference,
    mlp_usable,
)

pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
SHAPES = [
    (5, 5),
    (4, 64, 64, 2),
    (1, 5, 3),
    (3, 1, 1),
    (17, 100, 17, 64, 16),
    (64, 17),
    (3, 256, 400, 1),
    (256, 5, 100, 9),
    (32, 16, 16),
]


def network(shape, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    pairs = list(pairwise(shape))
    weights = [torch.randn(b, a, generator=g, dtype=dtype) / a**0.5 for a, b in pairs]
    return weights, [torch.randn(b, generator=g, dtype=dtype) for b in shape[1:]]


def rows(n, width, dtype=torch.float64, seed=1):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=g, dtype=dtype)


def leaf(t):
    return t.detach().double().clone().requires_grad_()


def expected(grad_y, x, weights, biases, activation):
    """The output, gradients of W and b, and of x, by autograd in double precision."""
    weights, biases = ([leaf(t) for t in ts] for ts in (weights, biases))
    x = leaf(x)
    y = mlp_reference(x, weights, biases, activation)
    y.backward(grad_y.double())
    return y.detach(), [w.grad for w in weights], [b.grad for b in biases], x.grad


def close(ours, reference, tolerance):
    scale = reference.abs().max().item() if reference.numel() else 0.0
    assert ours.shape == reference.shape
    torch.testing.assert_close(ours.double(), reference, rtol=0.0, atol=tolerance * (scale + 1e-30))


def agree(n, shape, activation="tanh", dtype=torch.float64):
    weights, biases = network(shape, dtype)
    x, grad_y = rows(n, shape[0], dtype), rows(n, shape[-1], dtype, seed=2)
    assert mlp_usable(activation, x, *weights, *biases)
    y, kept = mlp_forward(x, weights, biases, activation, keep=True)
    assert torch.equal(y, mlp_forward(x, weights, biases, activation)[0])
    ours = mlp_backward(grad_y, x, kept, weights, activation, need_x=True)
    reference = expected(grad_y, x, weights, biases, activation)
    close(y, reference[0], TOLERANCE[dtype])
    for found, wanted in zip([*ours[0], *ours[1]], [*reference[1], *reference[2]], strict=True):
        close(found, wanted, TOLERANCE[dtype])
    close(ours[2], reference[3], TOLERANCE[dtype])
    return y, *ours[0], *ours[1], ours[2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 3, 7, 8, 64, 256, 512])
def test_outputs_and_gradients(n, dtype):
    for shape in SHAPES:
        agree(n, shape, dtype=dtype)


@pytest.mark.parametrize("activation", ACTIVATION_CODES)
def test_activations(activation):
    for dtype in (torch.float32, torch.float64):
        for n in (2, 33):
            agree(n, (4, 20, 16, 3), activation, dtype)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_agrees(level):
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        for dtype in (torch.float32, torch.float64):
            for n in (1, 7, 100):
                for shape in SHAPES:
                    agree(n, shape, "elu", dtype)


def test_more_rows_than_are_held_at_once():
    for shape in ((5, 20, 3), (4, 64, 64, 2), (40, 9)):
        agree(1201, shape, dtype=torch.float32)


def test_one_thread_and_two_give_the_same_bits():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(agree(700, (20, 100, 90, 3), dtype=torch.float32))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_lies_in_memory_does_not_matter():
    before = agree(37, (5, 20, 33, 3), dtype=torch.float32)
    for size in [2**k for k in range(4, 18)] * 3:
        _ = [torch.full((size,), float("nan")) for _ in range(4)]
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # new tensors are filled with not-a-numbers
    try:
        after = agree(37, (5, 20, 33, 3), dtype=torch.float32)
    finally:
        torch.use_deterministic_algorithms(deterministic)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_rows_do_not_see_each_other():
    weights, biases = network((4, 20, 20, 2), torch.float32)
    x = rows(150, 4, torch.float32)
    y = mlp_forward(x, weights, biases)[0]
    for n in (5, 8, 64):  # four rows and fewer are summed in another order
        assert torch.equal(mlp_forward(x[70 : 70 + n], weights, biases)[0], y[70 : 70 + n])
    x[3, 1], x[9, 0] = float("nan"), float("inf")
    broken = mlp_forward(x, weights, biases)[0]
    assert broken[3].isnan().all()
    assert broken[9].isfinite().all()  # tanh of infinity is 1
    others = [i for i in range(150) if i not in (3, 9)]
    assert torch.equal(broken[others], y[others])


@pytest.mark.parametrize("shape", [(4, 2), (4, 8, 2)])
def test_an_empty_batch(shape):
    weights, biases = network(shape)
    y, kept = mlp_forward(torch.zeros(0, 4).double(), weights, biases, keep=True)
    assert y.shape == (0, 2)
    grads = mlp_backward(y, torch.zeros(0, 4).double(), kept, weights, need_x=True)
    assert grads[2].shape == (0, 4)
    assert all((g == 0.0).all() for g in [*grads[0], *grads[1]])


def test_several_networks_are_the_same_as_each():
    shapes, names = [(6, 40, 40, 2), (6, 17, 1)], ["tanh", "relu"]
    nets = [network(shape, torch.float32, seed) for seed, shape in enumerate(shapes)]
    x = rows(60, 6, torch.float32)
    flat = [
        p for weights, biases in nets for pair in zip(weights, biases, strict=True) for p in pair
    ]
    both = Networks(flat, [3, 2], names)
    outputs, kept = both.forward(x, keep=True)
    passed = [rows(60, shape[-1], torch.float32, 3) for shape in shapes]
    grads, grad_x = both.backward(passed, x, kept, [True] * len(flat), need_x=True)
    total = torch.zeros_like(x)
    for k, (weights, biases) in enumerate(nets):
        y, own = mlp_forward(x, weights, biases, names[k], keep=True)
        of_w, of_b, of_x = mlp_backward(passed[k], x, own, weights, names[k], need_x=True)
        assert torch.equal(y, outputs[k])
        ours = both.split(grads)[k]
        assert all(torch.equal(a, b) for a, b in zip(ours[::2], of_w, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(ours[1::2], of_b, strict=True))
        total += of_x
    assert torch.equal(total, grad_x)


def test_what_is_not_asked_for():
    weights, biases = network((6, 40, 2))
    parameters = [weights[0], biases[0], weights[1], biases[1]]
    x, grad_y = rows(9, 6), rows(9, 2)
    nets = Networks(parameters * 2, [2, 2], ["tanh", "tanh"])
    _, kept = nets.forward(x, keep=True)
    wanted = [False, True, True, False] * 2
    grads, grad_x = nets.backward([grad_y, None], x, kept, wanted, need_x=False)
    assert grad_x is None
    assert [g is not None for g in grads] == wanted
    _, of_w, of_b, _ = expected(grad_y, x, weights, biases, "tanh")
    close(grads[1], of_b[0], 1e-12)
    close(grads[2], of_w[1], 1e-12)
    assert (grads[5] == 0.0).all()  # the second output has no gradient
    only_x = nets.backward([grad_y, None], x, kept, [False] * 8, need_x=True)[1]
    close(only_x, expected(grad_y, x, weights, biases, "tanh")[3], 1e-12)


def test_without_the_library_it_is_the_same():
    weights, biases = network((5, 30, 20, 3))
    x, grad_y = rows(11, 5), rows(11, 3)
    for activation in ACTIVATION_CODES:
        results = []
        for choice in ("auto", "off"):
            with forced(choice):
                y, kept = mlp_forward(x, weights, biases, activation, keep=True)
                of_w, of_b, of_x = mlp_backward(grad_y, x, kept, weights, activation, need_x=True)
                results.append([y, kept, *of_w, *of_b, of_x])
        # What pads the rows of hidden units is nobody's business.
        results[0][1], results[1][1] = torch.zeros(1).double(), torch.zeros(1).double()
        for a, b in zip(*results, strict=True):
            close(a, b, 1e-12)


def test_it_says_what_it_cannot_take():
    x = torch.zeros(2, 3)
    assert not mlp_usable("gelu", x)
    assert not mlp_usable("tanh", x, x.double())
    assert not mlp_usable("tanh", x.half())
    assert not mlp_usable("tanh", x.requires_grad_())
    weights, biases = network((3, 4, 1), torch.float32)
    y, _ = mlp_forward(x, weights, biases)  # gradients are recorded: by the reference
    assert y.grad_fn is not None
