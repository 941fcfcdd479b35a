"""Every layer's value and gradients are torch's, in float64, and those of finite differences."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.activate import Activate
from phosphene.learning.backprop.convolution import (
    Convolution1d,
    Convolution2d,
    correlate,
    correlate_backward_input,
    correlate_backward_weight,
)
from phosphene.learning.backprop.layer import Flatten, Layer, Network, numeric_gradient
from phosphene.learning.backprop.linear import Linear, linear_backward
from phosphene.learning.backprop.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from phosphene.learning.backprop.normalization import BatchNorm, GroupNorm, LayerNorm
from phosphene.learning.backprop.pooling import AveragePool2d, MaxPool2d
from phosphene.learning.backprop.torch_bridge import AsModule
from phosphene.learning.backprop.transposed import TransposedConvolution2d
from phosphene.learning.backprop.unpooling import BedOfNails2d, MaxUnpool2d, NearestUnpool2d
from phosphene.learning.backprop.windows import Geometry, fold, windows

F64 = torch.float64


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def gap(found, expected):
    """The largest difference, relative to the largest value."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def same(layer: Layer, x, oracle, **weights):
    """The layer against a function of torch, in value and in every gradient."""
    layer.to(F64)
    for k, (name, value) in enumerate(layer.parameters.items()):
        layer.parameters[name] = draw(*value.shape, seed=k + 1)
    own = {n: v.clone().requires_grad_() for n, v in layer.parameters.items()}
    free = x.clone().requires_grad_()
    expected = oracle(free, **{weights.get(n, n): v for n, v in own.items()})
    y = layer.forward(x)
    assert gap(y, expected.detach()) < 1e-12
    dy = draw(*y.shape, seed=9)
    expected.backward(dy)
    assert gap(layer.backward(dy), free.grad) < 1e-12
    assert set(layer.grads) == set(own)
    for name, value in own.items():
        assert gap(layer.grads[name], value.grad) < 1e-12, name


GRID = [
    (k, s, p, d, g)
    for k, s, p, d, g in itertools.product((1, 2, 3, (2, 3)), (1, 2, 3), (0, 1, 2), (1, 2), (1, 2))
]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolution_is_torchs_over_a_grid(groups):
    x = draw(2, 4, 8, 7)
    for kernel, stride, padding, dilation, g in GRID:
        if g == min(groups, 2):
            layer = Convolution2d(
                4, 8, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
            )
            told = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            same(layer, x, lambda x, told=told, **w: F.conv2d(x, **w, **told))


def test_convolution_of_unequal_axes_and_without_bias():
    told = {"stride": (2, 1), "padding": (0, 3), "dilation": (1, 2)}
    layer = Convolution2d(3, 5, (3, 2), bias=False, **told)
    same(layer, draw(2, 3, 9, 6), lambda x, **w: F.conv2d(x, **w, **told))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"),
                         [(1, 0, 1, 1), (2, 1, 1, 2), (3, 2, 2, 1)])  # fmt: skip
def test_convolution_of_lines(stride, padding, dilation, groups):
    told = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    same(Convolution1d(2, 4, 3, **told), draw(3, 2, 11), lambda x, **w: F.conv1d(x, **w, **told))


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolution_is_torchs_over_a_grid(groups):
    x = draw(2, 4, 4, 5)
    cases = itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (1, 2), (0, 1, 2))
    for kernel, stride, padding, dilation, extra in cases:
        if extra >= stride or dilation * (kernel - 1) + 1 <= 2 * padding:
            continue
        layer = TransposedConvolution2d(
            4, 6, kernel, stride=stride, padding=padding, dilation=dilation, extra=extra,
            groups=groups,
        )  # fmt: skip
        told = {
            "stride": stride, "padding": padding, "dilation": dilation, "output_padding": extra,
            "groups": groups,
        }  # fmt: skip
        if extra >= max(stride, dilation):
            continue
        same(layer, x, lambda x, told=told, **w: F.conv_transpose2d(x, **w, **told))


def test_transposed_convolution_is_the_adjoint():
    for kernel, stride, padding, dilation in itertools.product((1, 3), (1, 2), (0, 1), (1, 2)):
        g = Geometry.of(kernel, stride, padding, dilation)
        if kernel <= padding:
            continue
        x, w = draw(2, 3, 9, 8), draw(5, 3, kernel, kernel, seed=1)
        y = correlate(x, w, g)
        other = draw(*y.shape, seed=2)
        left = (y * other).sum()
        right = (x * correlate_backward_input(w, other, (9, 8), g)).sum()
        assert abs(float(left - right)) <= 1e-12 * float(left.abs().clamp(min=1))


def test_fold_is_the_adjoint_of_windows():
    g = Geometry((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    x = draw(2, 3, 7, 6)
    seen = windows(x, g)
    c = draw(*seen.shape, seed=3)
    left, right = (seen * c).sum(), (x * fold(c.flatten(3, 4).unbind(3), (7, 6), g)).sum()
    assert abs(float(left - right)) < 1e-12 * abs(float(left))


def test_the_examples_gradient_by_hand():
    """A 3 x 3 image under a 2 x 2 kernel: the nine entries of dx, the four of dw, written out."""
    x = torch.arange(1.0, 10.0, dtype=F64).reshape(1, 1, 3, 3)
    (a, b), (c, d) = (1.0, 2.0), (3.0, 5.0)
    w = torch.tensor([[a, b], [c, d]], dtype=F64)[None, None]
    (p, q), (r, s) = (1.0, -1.0), (2.0, 7.0)
    dy = torch.tensor([[p, q], [r, s]], dtype=F64)[None, None]
    g = Geometry((2, 2))
    dx = correlate_backward_input(w, dy, (3, 3), g)[0, 0]
    by_hand = [
        [p * a, p * b + q * a, q * b],
        [p * c + r * a, p * d + q * c + r * b + s * a, q * d + s * b],
        [r * c, r * d + s * c, s * d],
    ]
    assert dx.tolist() == by_hand
    # The same as the full correlation of dy with the kernel turned by 180 degrees.
    full = correlate(F.pad(dy, (1, 1, 1, 1)), w.flip((2, 3)), g)
    assert torch.equal(full[0, 0], dx)
    dw = correlate_backward_weight(x, dy, g)[0, 0]
    by_hand = [
        [p * 1 + q * 2 + r * 4 + s * 5, p * 2 + q * 3 + r * 5 + s * 6],
        [p * 4 + q * 5 + r * 7 + s * 8, p * 5 + q * 6 + r * 8 + s * 9],
    ]
    assert dw.tolist() == by_hand


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, None, 0, 1), (3, 2, 1, 1), ((2, 3), 1, (1, 0), 2), (3, 3, 0, 1)],
)
def test_max_pooling_is_torchs(kernel, stride, padding, dilation):
    told = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = MaxPool2d(kernel, **told)
    x = draw(2, 3, 9, 8)
    same(layer, x, lambda x: F.max_pool2d(x, kernel, **told))
    _, where = F.max_pool2d(x, kernel, return_indices=True, **told)
    assert torch.equal(layer.indices, where)


def test_ties_go_to_the_first_as_in_torch():
    x = torch.ones(1, 2, 4, 4, dtype=F64)
    pool = MaxPool2d(2)
    pool(x)
    _, where = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(pool.indices, where)
    assert pool.backward(torch.ones(1, 2, 2, 2, dtype=F64))[0, 0].tolist() == [
        [1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize(("kernel", "stride", "padding"),
                         [(2, None, 0), (3, 2, 1), ((2, 3), 1, (1, 0))])  # fmt: skip
def test_average_pooling_is_torchs(kernel, stride, padding):
    told = {"stride": stride, "padding": padding}
    same(AveragePool2d(kernel, **told), draw(2, 3, 9, 8),
         lambda x: F.avg_pool2d(x, kernel, **told))  # fmt: skip


def test_unpooling_is_torchs():
    same(NearestUnpool2d((2, 3)), draw(2, 3, 4, 5), lambda x: F.interpolate(x, scale_factor=(2, 3)))
    nails = torch.zeros(2, 3, dtype=F64)
    nails[0, 0] = 1
    same(BedOfNails2d((2, 3)), draw(2, 3, 4, 5), lambda x: torch.kron(x, nails))
    x = draw(2, 3, 6, 8).abs()
    pool = MaxPool2d(2)
    y = pool(x)
    _, where = F.max_pool2d(x, 2, return_indices=True)
    unpool = MaxUnpool2d(pool)
    same(unpool, y, lambda y: F.max_unpool2d(y, where, 2))
    assert torch.equal(pool.forward(unpool.forward(y)), y)


@pytest.mark.parametrize("shape", [(6, 4), (5, 4, 7), (3, 4, 2, 5)])
def test_batch_norm_is_torchs(shape):
    x, layer, oracle = draw(*shape), BatchNorm(4), torch.nn.BatchNorm1d(4).double()
    mean, variance = torch.zeros(4, dtype=F64), torch.ones(4, dtype=F64)
    same(layer, x, lambda x, **w: F.batch_norm(x, mean, variance, training=True, **w))
    assert gap(layer.buffers["mean"], mean) < 1e-12
    assert gap(layer.buffers["variance"], variance) < 1e-12
    layer.training = False
    same(layer, x, lambda x, **w: F.batch_norm(x, mean, variance, training=False, **w))
    del oracle


def test_layer_and_group_norm_are_torchs():
    same(LayerNorm(5), draw(2, 3, 5), lambda x, **w: F.layer_norm(x, (5,), **w))
    for groups in (1, 2, 6):
        same(GroupNorm(groups, 6), draw(3, 6, 2, 4),
             lambda x, g=groups, **w: F.group_norm(x, g, **w))  # fmt: skip


def test_linear_and_losses_are_torchs():
    same(Linear(3, 5), draw(4, 3), lambda x, weight, bias: F.linear(x, weight, bias))
    dx, dw, db = linear_backward(draw(4, 3), draw(5, 3), draw(4, 5))
    assert (dx.shape, dw.shape, db.shape) == ((4, 3), (5, 3), (5,))
    y, t = draw(4, 3), draw(4, 3, seed=1)
    labels = torch.tensor([2, 0, 1, 2])
    cases = [
        (SquaredError(), t, F.mse_loss),
        (BinaryCrossEntropy(), t.sigmoid(), F.binary_cross_entropy_with_logits),
        (CrossEntropy(), labels, F.cross_entropy),
    ]
    for loss, target, oracle in cases:
        free = y.clone().requires_grad_()
        expected = oracle(free, target)
        expected.backward()
        assert abs(float(loss.forward(y, target) - expected.detach())) < 1e-13
        assert gap(loss.backward(), free.grad) < 1e-12


def test_large_logits_stay_finite():
    for sign in (1e4, -1e4):
        loss, y = BinaryCrossEntropy(), torch.full((2, 1), sign)
        assert math.isfinite(float(loss.forward(y, torch.ones(2, 1))))
        assert torch.isfinite(loss.backward()).all()
    loss = CrossEntropy()
    assert float(loss.forward(torch.tensor([[1e4, -1e4]]), torch.tensor([1]))) == 2e4


def test_a_network_agrees_with_finite_differences():
    network = Network(
        [Convolution2d(2, 4, 3, stride=2, padding=1, seed=1), BatchNorm(4), MaxPool2d(2),
         Flatten(), Linear(8, 3, seed=2)]
    ).to(F64)  # fmt: skip
    x, loss, target = draw(3, 2, 8, 5), CrossEntropy(), torch.tensor([0, 2, 1])

    def value(_):
        return loss.forward(network(x), target)

    value(x)
    dx = network.backward(loss.backward())
    grads = dict(network.grads)
    assert gap(dx, numeric_gradient(value, x)) < 1e-7
    for name, parameter in network.parameters.items():
        if name != "0.bias":  # batch normalization takes it out: its gradient is 0
            assert gap(grads[name], numeric_gradient(value, parameter)) < 1e-6, name
    assert grads["0.bias"].abs().max() < 1e-12


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Convolution2d(3, 4, 3, groups=2), "3 channels and 4 filters"),
    (lambda: Convolution2d(2, 4, 0), "kernel must be a whole number of at least 1"),
    (lambda: Convolution2d(2, 4, 3, stride=0), "stride must be"),
    (lambda: Convolution2d(2, 4, (3, 3, 3)), "kernel must be"),
    (lambda: Convolution2d(2, 4, 2.5), "kernel must be"),
    (lambda: Convolution2d(2, 4, 5)(torch.zeros(1, 2, 3, 3)), "reaches over 5 does not fit into 3"),
    (lambda: Convolution2d(2, 4, 3)(torch.zeros(1, 3, 5, 5)), "x must be (n, 2, h, w)"),
    (lambda: Convolution1d(2, 4, 3)(torch.zeros(2, 5)), "x must be (n, 2, length)"),
    (lambda: TransposedConvolution2d(2, 4, 3, stride=2, extra=2), "extra must be below"),
    (lambda: TransposedConvolution2d(2, 4, 1, padding=2)(torch.zeros(1, 2, 2, 2)), "have size"),
    (lambda: MaxPool2d(2, padding=2), "at most half the kernel"),
    (lambda: MaxPool2d(2)(torch.zeros(4, 4)), "x must be (n, c, h, w)"),
    (lambda: Linear(0, 3), "inputs must be a whole number of at least 1, got 0"),
    (lambda: Linear(3.5, 2), "inputs must be a whole number"),
    (lambda: Convolution2d("a", 1, 3), "channels must be a whole number"),
    (lambda: Convolution2d(2, 2, 3, groups=2.0), "groups must be a whole number"),
    (lambda: BatchNorm(3, momentum=5.0), "momentum must be from 0 to 1"),
    (lambda: Network([1]), "a network is made of layers, got int"),
    (lambda: Activate(3), "named by text"),
    (lambda: AsModule(3), "is a layer, got int"),
    (lambda: Linear(2, 3)(torch.zeros(2, 2, dtype=torch.int64)), "floating-point numbers"),
    (lambda: Linear(2, 3)([[1.0, 2.0]]), "floating-point numbers, got list"),
    (lambda: Linear(2, 3)(torch.zeros(2, 2, dtype=F64)), "layer.to(torch.float64)"),
    (lambda: Linear(2, 3).backward(torch.zeros(2, 3)), "needs a forward before it"),
    (lambda: SquaredError().backward(), "needs a forward before it"),
    (lambda: SquaredError().forward(torch.zeros(0), torch.zeros(0)), "no predictions"),
    (lambda: CrossEntropy().forward(torch.zeros(0, 3), torch.zeros(0)), "no predictions"),
    (lambda: BinaryCrossEntropy().forward(torch.ones(2), torch.tensor([0.0, 7.0])), "from 0 to 1"),
    (lambda: Linear(2, 3)(torch.zeros(2, 4)), "x must be (n, 2)"),
    (lambda: BatchNorm(3)(torch.zeros(1, 3)), "needs two values"),
    (lambda: GroupNorm(2, 3), "do not divide"),
    (lambda: LayerNorm(3)(torch.zeros(2, 4)), "x must be (..., 3)"),
    (lambda: Network([]), "at least one layer"),
    (lambda: CrossEntropy().forward(torch.zeros(2, 3), torch.tensor([0, 3])), "from 0 to 2"),
    (lambda: CrossEntropy().forward(torch.zeros(2, 3), torch.tensor([0.0, 1.0])), "class numbers"),
    (lambda: SquaredError().forward(torch.zeros(2, 1), torch.zeros(2)), "must have the same shape"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(make, words):
    with pytest.raises(ConfigError) as caught:
        make()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layer", [
    Linear(3, 2), Convolution2d(3, 2, 2), Convolution1d(3, 2, 2), TransposedConvolution2d(3, 2, 2),
    MaxPool2d(2), AveragePool2d(2), NearestUnpool2d(2), BedOfNails2d(2), BatchNorm(3),
    GroupNorm(1, 3), LayerNorm(3), Activate("relu"), Flatten(),
], ids=lambda layer: type(layer).__name__)  # fmt: skip
def test_a_gradient_that_does_not_fit_is_refused(layer):
    flat = isinstance(layer, Linear | LayerNorm)
    x = torch.rand(
        (4, 3) if flat else (4, 3, 6) if isinstance(layer, Convolution1d) else (4, 3, 6, 6)
    )
    y = layer(x)
    layer.backward(torch.ones_like(y))
    for wrong in (y[:1], y[:, :1], y[0], y.flatten(), 3.0):
        with pytest.raises(ConfigError, match="dy must be of the shape of y"):
            layer.backward(wrong)


def test_what_is_no_number_is_passed_on():
    x = torch.tensor([[[[float("nan"), 1.0], [2.0, 3.0]]]])
    pool = MaxPool2d(2)
    assert pool(x).isnan().all()
    assert pool.backward(torch.ones(1, 1, 1, 1)).sum() == 1
