"""Backpropagation through time, whole and cut short, clipping, and the spectrum behind them."""

import pytest
import torch

from phosphene.core.errors import ConfigError, DataError, DivergedError
from phosphene.learning.recurrent.bptt import (
    backprop_through_time,
    gradient_by_paths,
    gradients_of_each_loss,
    total_gradient,
)
from phosphene.learning.recurrent.clipping import clip_factor, clip_gradient_norm
from phosphene.learning.recurrent.rnn import RNN
from phosphene.learning.recurrent.spectrum import (
    STEEPEST,
    eigenvector_form,
    growth,
    growth_bound,
    jacobian_product,
    linear_states,
    normality_gap,
    power_iteration,
    spectral_radius,
)
from phosphene.learning.recurrent.truncated import chunked, windowed


def same(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def grads(layer, run):
    dx = run()
    return {**layer.grads, "x": dx}


def far(a, b):
    return max(float((a[k] - b[k]).norm() / b[k].norm()) for k in b)


# -- bptt ---------------------------------------------------------------------------------------


def test_the_gradient_is_the_sum_of_those_of_all_losses(layer, x, dy):
    layer.forward(x)
    each = gradients_of_each_loss(layer, dy)
    backprop_through_time(layer, dy)
    same(total_gradient(each), layer.grads["W_hh"])
    last = each[-1]
    assert (last - layer.grads["W_hh"]).norm() > 0.05 * layer.grads["W_hh"].norm()


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_the_sum_over_paths_is_the_pass_over_time(activation, x, dy):
    layer = RNN(3, 5, activation=activation, seed=2, dtype=torch.float64)
    layer.forward(x)
    each = gradients_of_each_loss(layer, dy)
    for t, expected in enumerate(each):
        same(gradient_by_paths(layer, dy, t), expected)


# -- truncation ---------------------------------------------------------------------------------


def test_a_window_of_all_times_is_the_full_gradient(layer, x, dy):
    layer.forward(x)
    full = grads(layer, lambda: layer.backward(dy))
    for kappa in (7, 8, 1000):
        found = grads(layer, lambda kappa=kappa: windowed(layer, dy, kappa))
        for key, value in full.items():
            same(found[key], value)
    found = grads(layer, lambda: chunked(layer, dy, 7, 7))
    for key, value in full.items():
        same(found[key], value)


def test_windows_are_sums_of_short_passes(layer, x, dy):
    """Each loss by itself, over a sequence that begins with the state of kappa times before."""
    layer.forward(x)
    states = {name: value.clone() for name, value in layer.states.items()}
    for kappa in (1, 2, 4):
        layer.forward(x)
        found = grads(layer, lambda kappa=kappa: windowed(layer, dy, kappa))
        expected = {k: torch.zeros_like(v) for k, v in found.items()}
        for t in range(7):
            begin = max(0, t - kappa + 1)
            layer.forward(x[begin : t + 1], *(states[name][begin] for name in layer.names))
            only = torch.zeros(t + 1 - begin, 4, 5, dtype=torch.float64)
            only[-1] = dy[t]
            short = grads(layer, lambda only=only: layer.backward(only))
            expected["x"][begin : t + 1] += short.pop("x")
            for key, value in short.items():
                expected[key] += value
        for key, value in expected.items():
            same(found[key], value)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_chunks_are_what_detaching_gives(layer, x, dy, k):
    layer.forward(x)
    states = {name: value.clone() for name, value in layer.states.items()}
    found = grads(layer, lambda: chunked(layer, dy, k, k))
    expected = {name: torch.zeros_like(v) for name, v in found.items()}
    for begin in range(0, 7, k):
        layer.forward(x[begin : begin + k], *(states[name][begin] for name in layer.names))
        part = grads(layer, lambda begin=begin: layer.backward(dy[begin : begin + k]))
        expected["x"][begin : begin + k] += part.pop("x")
        for name, value in part.items():
            expected[name] += value
    for name, value in expected.items():
        same(found[name], value)


def test_chunks_of_one_are_windows_and_the_two_are_not_the_same_otherwise(layer, x, dy):
    layer.forward(x)
    for kappa in (1, 3):
        a = grads(layer, lambda kappa=kappa: windowed(layer, dy, kappa))
        b = grads(layer, lambda kappa=kappa: chunked(layer, dy, 1, kappa))
        for name, value in a.items():
            same(b[name], value)
    assert far(grads(layer, lambda: chunked(layer, dy, 3, 3)), a) > 1e-3


@pytest.mark.parametrize(("k1", "k2"), [(2, 3), (2, 5), (3, 4), (3, 5), (3, 7)])
def test_chunks_that_overlap_are_sums_over_paths_and_short_passes(layer, x, dy, k1, k2):
    """The losses of k1 times go back to the same time, k2 - k1 before the first of them."""
    layer.forward(x)
    states = {name: value.clone() for name, value in layer.states.items()}
    found = grads(layer, lambda: chunked(layer, dy, k1, k2))
    if isinstance(layer, RNN):
        paths = torch.zeros_like(found["W_hh"])
        for t in range(7):
            reached = t - max(t - t % k1 + k1 - k2, 0) + 1
            paths += gradient_by_paths(layer, dy, t, reached)
        same(found["W_hh"], paths)
    expected = {name: torch.zeros_like(v) for name, v in found.items()}
    for begin in range(0, 7, k1):
        first, end = max(begin + k1 - k2, 0), min(begin + k1, 7)
        layer.forward(x[first:end], *(states[name][first] for name in layer.names))
        only = torch.zeros(end - first, 4, 5, dtype=torch.float64)
        only[begin - first :] = dy[begin:end]
        part = grads(layer, lambda only=only: layer.backward(only))
        expected["x"][first:end] += part.pop("x")
        for name, value in part.items():
            expected[name] += value
    for name, value in expected.items():
        same(found[name], value)


def test_the_bias_falls_with_the_window():
    layer = RNN(2, 20, seed=0, dtype=torch.float64)
    layer.forward(torch.randn(40, 8, 2, dtype=torch.float64))
    dy = torch.randn(40, 8, 20, dtype=torch.float64)
    full = grads(layer, lambda: layer.backward(dy))
    for cut in (windowed, lambda layer, dy, k: chunked(layer, dy, k, k)):
        found = [
            far(grads(layer, lambda k=k, cut=cut: cut(layer, dy, k)), full)
            for k in (1, 2, 5, 10, 20, 40)
        ]
        assert found == sorted(found, reverse=True)
        assert found[0] > 0.05
        assert found[-1] < 1e-12


@pytest.mark.parametrize("kappa", [0, -1, 2.0, True, "3"])
def test_bad_windows_are_refused(kappa, layer, x, dy):
    layer.forward(x)
    with pytest.raises(ConfigError, match="kappa must be a whole number, at least 1"):
        windowed(layer, dy, kappa)
    with pytest.raises(ConfigError, match="k1 must be a whole number, at least 1"):
        chunked(layer, dy, kappa, 3)
    with pytest.raises(ConfigError, match="k2 must be a whole number, at least 2"):
        chunked(layer, dy, 2, kappa)
    with pytest.raises(DataError, match="dy must have the shape"):
        windowed(layer, dy[1:], 3)


# -- clipping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("threshold", [0.1, 1.0, 3, 100.0])
def test_clipping_is_torchs(threshold, dtype):
    params = [torch.nn.Parameter(torch.zeros(s, dtype=dtype)) for s in ((), (4,), (3, 2))]
    for p in params:
        p.grad = torch.randn_like(p)
    mine = [p.grad.clone() for p in params]
    before = torch.cat([g.flatten() for g in mine])
    norm = clip_gradient_norm(mine, threshold)
    assert float(norm) == float(torch.nn.utils.clip_grad_norm_(params, threshold))
    for g, p in zip(mine, params, strict=True):
        assert torch.equal(g, p.grad)
    after = torch.cat([g.flatten() for g in mine])
    assert float(torch.cosine_similarity(before, after, dim=0)) == pytest.approx(1.0, abs=1e-6)
    assert float(after.norm()) <= threshold
    assert float(after.norm()) == pytest.approx(min(threshold, float(norm)), rel=1e-4)


def test_short_gradients_are_left_alone():
    """As the notes write it, threshold / norm without the condition, they would be made longer."""
    g = [torch.tensor([1e-3, -2e-3])]
    clip_gradient_norm(g, 1.0)
    assert torch.equal(g[0], torch.tensor([1e-3, -2e-3]))
    assert float(clip_factor(torch.tensor(0.0), 1.0)) == 1.0


def test_what_cannot_be_clipped():
    g = [torch.tensor([1.0, float("inf")]), torch.ones(2)]
    with pytest.raises(DivergedError, match="inf"):
        clip_gradient_norm(g, 1.0)
    assert g[1].tolist() == [1.0, 1.0]
    for threshold in (0.0, -1.0, float("nan"), None, "1"):
        with pytest.raises(ConfigError, match="threshold must be a number above 0"):
            clip_gradient_norm([torch.ones(2)], threshold)
    for wrong in ([None], [torch.ones(2), 3.0], [torch.ones(2, dtype=torch.int64)]):
        with pytest.raises(ConfigError, match="gradients must be dense tensors of real numbers"):
            clip_gradient_norm(wrong, 1.0)
    with pytest.raises(ConfigError, match=r"of one type, got torch\.float32 and"):
        clip_gradient_norm([torch.ones(2), torch.ones(2, dtype=torch.float64)], 1.0)
    with pytest.raises(ConfigError, match="gradients must be a list of tensors"):
        clip_gradient_norm(3, 1.0)
    assert clip_gradient_norm([], 1.0) == 0.0


# -- spectrum -----------------------------------------------------------------------------------


def test_states_turn_into_the_dominant_eigenvector():
    q = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    W = q @ torch.diag(torch.tensor([1.5, -1.2, 0.9, 0.5, 0.2, 0.1]).double()) @ q.T
    value, vector = power_iteration(W, 200)
    assert float(value) == pytest.approx(1.5, rel=1e-12)
    assert float((vector @ q[:, 0]).abs()) == pytest.approx(1.0, abs=1e-12)
    states = linear_states(W, torch.ones(6, dtype=torch.float64), 30)
    same(states[30], torch.linalg.matrix_power(W, 30) @ torch.ones(6, dtype=torch.float64), 1e-9)
    along = (states @ q[:, 0]).abs() / states.norm(dim=1)
    off = (1 - along**2).sqrt()  # the sine of the angle
    assert float((off[30] / off[20]) ** 0.1) == pytest.approx(1.2 / 1.5, rel=0.02)


def test_only_normal_matrices_are_q_lambda_q_transposed():
    symmetric = torch.tensor([[2.0, 1.0], [1.0, 0.5]], dtype=torch.float64)
    skewed = torch.tensor([[2.0, 1.0], [0.0, 0.5]], dtype=torch.float64)
    for W in (symmetric, skewed):
        values, q = torch.linalg.eig(W)
        same(eigenvector_form(values, q).real, W)
        transposed = (q @ torch.diag(values) @ q.T).real
        normal = float(normality_gap(W)) < 1e-12
        assert normal == (W is symmetric)
        assert (float((transposed - W).norm()) < 1e-12) == normal
        assert (float(growth(W)) == pytest.approx(float(spectral_radius(W)), rel=1e-9)) == normal


def test_a_rotation_is_normal_and_needs_the_conjugate():
    W = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    values, q = torch.linalg.eig(W)
    assert float(normality_gap(W)) < 1e-12
    same(eigenvector_form(values, q).real, W)
    same((q @ torch.diag(values) @ q.mH).real, W)
    assert float((q @ torch.diag(values) @ q.T - W).abs().max()) > 0.5


def test_between_the_threshold_less_a_millionth_and_the_threshold():
    norms = torch.tensor([1 - 1.5e-6, 1 - 1e-7, 1.0], dtype=torch.float64)
    short, almost, at = (float(clip_factor(norm, 1.0)) for norm in norms)
    assert short == 1.0
    assert 1 - 1e-6 < almost < 1
    assert at < 1


@pytest.mark.parametrize("activation", list(STEEPEST))
def test_gradients_through_time_stay_below_the_bound(activation):
    for seed in range(5):
        layer = RNN(2, 6, activation=activation, seed=seed, dtype=torch.float64)
        layer.parameters["W_hh"] *= 1 + seed
        layer.forward(torch.randn(12, 1, 2, dtype=torch.float64))
        for k, t in ((0, 12), (3, 4), (5, 5), (2, 9)):
            product = jacobian_product(layer, k, t)
            bound = growth_bound(layer.parameters["W_hh"], STEEPEST[activation], t - k)
            assert torch.linalg.matrix_norm(product, 2) <= bound * (1 + 1e-12)


def test_the_product_of_jacobians_is_the_derivative():
    layer = RNN(2, 4, seed=1, dtype=torch.float64)
    layer.forward(torch.randn(6, 2, 2, dtype=torch.float64))
    product = jacobian_product(layer, 0, 6, example=1)
    for row in range(4):
        dy = torch.zeros(6, 2, 4, dtype=torch.float64)
        dy[-1, 1, row] = 1
        layer.backward(dy)
        same(layer.state_grads["h"][1], product[row])


def test_matrices_must_be_square():
    for call in (power_iteration, growth, spectral_radius, normality_gap):
        with pytest.raises(DataError, match="square matrix, got the shape"):
            call(torch.zeros(2, 3))
