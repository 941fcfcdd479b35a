"""Ridge, lasso and logistic regression against scikit-learn and against their own conditions."""

import numpy as np
import pytest
import torch
from sklearn import linear_model as peers
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError
from phosphene.learning.linear.lasso import (
    Lasso,
    kkt_violation,
    lasso,
    lasso_path,
    least_alpha,
    soft_threshold,
)
from phosphene.learning.linear.logistic import (
    LogisticRegression,
    logistic_gradient,
    logistic_loss,
    newton,
)
from phosphene.learning.linear.ridge import (
    LinearRegression,
    Ridge,
    log_posterior,
    prior_penalty,
    ridge,
)


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 6)) @ random.normal(size=(6, 6)) + 2
    y = x @ np.array([1.0, 0, 0, -2, 0, 0.5]) + 3 + random.normal(size=80)
    return x, y


@pytest.fixture(scope="module")
def digits():
    train = ph.data.load("digits", "train")
    return train.x.flatten(1).double().numpy() / 16, train.y.numpy()


# -- ridge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_ridge_is_scikit_learns(table, alpha, fit_intercept):
    x, y = table
    own = Ridge(alpha=alpha, fit_intercept=fit_intercept).fit(x, y)
    peer = peers.Ridge(alpha=alpha, fit_intercept=fit_intercept, solver="svd").fit(x, y)
    assert np.abs(own.coef_ - peer.coef_).max() < 1e-10
    assert abs(own.intercept_ - peer.intercept_) < 1e-10
    assert own.score(x, y) == pytest.approx(peer.score(x, y), abs=1e-12)
    assert isinstance(own.predict(torch.from_numpy(x)), torch.Tensor)


def test_least_squares_and_its_noise(table):
    x, y = table
    own, peer = LinearRegression().fit(x, y), peers.LinearRegression().fit(x, y)
    assert np.abs(own.coef_ - peer.coef_).max() < 1e-10
    assert own.noise_ == pytest.approx(np.sqrt(np.mean((y - peer.predict(x)) ** 2)))


def test_the_posterior_is_highest_at_the_closed_form(table):
    x, y = map(torch.from_numpy, table)
    noise, prior = 0.8, 0.3
    penalty = prior_penalty(noise, prior)
    assert penalty == pytest.approx(noise**2 / prior**2)
    w = ridge(x, y, penalty)
    eye = torch.eye(6, dtype=torch.float64)
    assert (w - torch.linalg.solve(x.T @ x + penalty * eye, x.T @ y)).abs().max() < 1e-10
    best = log_posterior(w, x, y, noise, prior)
    for step in torch.randn(50, 6, dtype=torch.float64) * 1e-3:
        assert log_posterior(w + step, x, y, noise, prior) < best


def test_ridge_of_many_outputs_and_of_fewer_examples_than_features():
    x, y = torch.randn(5, 9, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    both = ridge(x, y, 0.5)
    assert (both[:, 1] - ridge(x, y[:, 1], 0.5)).abs().max() < 1e-12
    shortest = ridge(x, y[:, 0], 0.0)
    assert (shortest - torch.linalg.pinv(x) @ y[:, 0]).abs().max() < 1e-10


def test_ridge_of_tiny_features_is_that_of_scaled_ones(table):
    x, y = map(torch.from_numpy, table)
    for size in (1e-200, 1e140):
        assert (ridge(size * x, y, 0.0) * size - ridge(x, y, 0.0)).abs().max() < 1e-9


# -- lasso ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0, 3.0])
def test_lasso_is_scikit_learns_and_meets_its_conditions(table, alpha):
    x, y = table
    own = Lasso(alpha=alpha).fit(x, y)
    peer = peers.Lasso(alpha=alpha, tol=1e-12, max_iter=100_000).fit(x, y)
    assert np.abs(own.coef_ - peer.coef_).max() < 1e-6
    assert ((own.coef_ == 0) == (np.abs(peer.coef_) < 1e-9)).all()
    centered = torch.from_numpy(x - x.mean(0)), torch.from_numpy(y - y.mean())
    w = torch.from_numpy(own.coef_)
    assert float(kkt_violation(w, *centered, alpha)) < 1e-8
    assert float(kkt_violation(w + 0.01, *centered, alpha)) > 1e-3


def test_paths_begin_at_zero_and_end_at_least_squares(table):
    x, y = (torch.from_numpy(v - v.mean(0)) for v in table)
    top = least_alpha(x, y)
    alphas = torch.tensor([top, 0.5 * top, 1e-9], dtype=torch.float64)
    path = lasso_path(x, y, alphas, tolerance=1e-9)
    assert (path[0] == 0).all()
    assert 0 < (path[1] != 0).sum() < 6
    assert (path[2] - ridge(x, y, 0.0)).abs().max() < 1e-4


def test_soft_threshold_is_the_minimum():
    grid = torch.linspace(-5, 5, 100_001, dtype=torch.float64)
    for a in (-3.0, -0.2, 0.7, 2.5):
        best = grid[((grid - a).square() / 2 + grid.abs()).argmin()]
        assert float(soft_threshold(torch.tensor(a), 1.0)) == pytest.approx(float(best), abs=1e-4)


def test_a_column_of_zeros_gets_no_weight():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert lasso(x, torch.tensor([2.0, -2.0]), 0.1)[0].tolist() == pytest.approx([1.9, 0.0])


# -- logistic ------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_two_classes_are_scikit_learns(digits, alpha, fit_intercept):
    x, y = digits
    kept = (y == 3) | (y == 8)
    own = LogisticRegression(alpha=alpha, fit_intercept=fit_intercept).fit(x[kept], y[kept])
    peer = peers.LogisticRegression(
        C=1 / alpha, fit_intercept=fit_intercept, tol=1e-10, max_iter=10_000, solver="newton-cg"
    ).fit(x[kept], y[kept])
    assert np.abs(own.coef_ - peer.coef_).max() < 1e-5
    assert np.abs(own.intercept_ - peer.intercept_).max() < 1e-5
    assert own.losses_ == sorted(own.losses_, reverse=True)
    assert own.n_iter_ < 15


def test_ten_classes_are_scikit_learns(digits):
    x, y = digits
    own = LogisticRegression(alpha=5.0).fit(x, y)
    peer = peers.LogisticRegression(C=1 / 5, tol=1e-9, max_iter=10_000).fit(x, y)
    assert np.abs(own.predict_proba(x) - peer.predict_proba(x)).max() < 1e-4
    assert own.score(x, y) == peer.score(x, y)
    assert np.abs(own.predict_proba(x[:5]).sum(1) - 1).max() < 1e-12


@pytest.mark.parametrize("units", [1, 4])
def test_gradient_is_that_of_the_loss(units):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(30, 3, generator=g, dtype=torch.float64)
    place = torch.randint(max(units, 2), (30,), generator=g)
    t = torch.nn.functional.one_hot(place, max(units, 2)).double()
    t = t[:, 1:] if units == 1 else t
    alpha = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    w = torch.randn(units, 3, generator=g, dtype=torch.float64).requires_grad_()
    slope = torch.autograd.grad(logistic_loss(w, x, t, alpha), w)[0]
    assert (logistic_gradient(w.detach(), x, t, alpha) - slope).abs().max() < 1e-12


def test_newtons_steps_are_halved_where_a_whole_one_overshoots():
    """Seven examples on which a whole step raises the loss from 0.025 to 0.79."""
    x = [
        [4, 0, 0, -50, 1],
        [-1, 43, 6, 15, 1],
        [-2, 0, 1, -2, 1],
        [-1, 1, -1, -2, 1],
        [1, -19, 0, 0, 1],
        [8, 14, 4, 0, 1],
        [-1, 0, -1, -40, 1],
    ]
    x, alpha = torch.tensor(x, dtype=torch.float64), torch.full((5,), 1e-3, dtype=torch.float64)
    t = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 0, 0, 0])).double()
    weights, losses = newton(x, t, alpha)
    assert losses == sorted(losses, reverse=True)
    assert logistic_gradient(weights, x, t, alpha).abs().max() < 1e-6


def test_maximum_likelihood_where_there_is_one():
    random = np.random.default_rng(1)
    x = random.normal(size=(400, 3))
    y = (random.random(400) < 1 / (1 + np.exp(-x @ [1.0, -1, 0.5]))).astype(int)
    x = np.concatenate((x, np.ones((400, 1))), 1)  # a column that says what the intercept says
    own = LogisticRegression(alpha=0.0).fit(x, y)
    peer = peers.LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x[:, :3], y)
    assert np.abs(own.coef_[0, :3] - peer.coef_[0]).max() < 1e-4


@pytest.mark.parametrize(
    "model",
    [Ridge(alpha=0.1), Lasso(alpha=0.1), LinearRegression()],
    ids=lambda m: type(m).__name__,
)
def test_regressors_in_scikit_learns_tools(table, model):
    scores = cross_val_score(make_pipeline(StandardScaler(), model), *table, cv=4)
    assert scores.mean() > 0.7


def test_classifier_in_scikit_learns_tools(digits):
    x, y = digits
    piped = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-6))
    names = np.array(list("abcdefghij"))[y[:300]]
    assert cross_val_score(piped, x[:300], names, cv=2).mean() > 0.8


FINE = [[0.0], [1.0], [2.0], [3.0]]


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        (lambda: Ridge(alpha=-1.0), ConfigError, "alpha must be at least 0, got -1.0"),
        (lambda: Lasso(alpha=float("inf")), ConfigError, "alpha must be"),
        (lambda: prior_penalty(1.0, 0.0), ConfigError, "prior must be above 0, got 0.0"),
        (lambda: Ridge().fit(FINE, [1, 2]), DataError, "y must be 4 numbers"),
        (lambda: Ridge().fit(FINE, [1, 2, 3, None]), DataError, "y holds nan at|y must be numbers"),
        (
            lambda: Ridge().fit(np.array(FINE) * 1e200, [1, 2, 3, 4]),
            DataError,
            r"X holds 1e\+200 at \(1, 0\), whose square overflows",
        ),
        (lambda: Lasso().fit(FINE, [1, 2, 3, -1e200]), DataError, r"y holds -1e\+200 at \(3,\)"),
        (lambda: LogisticRegression(max_iter=1.5), ConfigError, "whole number, got 1.5"),
        (lambda: Ridge().predict(FINE), ConfigError, "this Ridge has learned nothing yet"),
        (
            lambda: lasso(torch.ones(3, 1), torch.ones(3), 0.1, sweeps=0),
            ConfigError,
            "after 0 sweeps",
        ),
        (
            lambda: LogisticRegression(alpha=0.0).fit(FINE, [0, 0, 1, 1]),
            ConfigError,
            "can be separated.*alpha must be above 0",
        ),
        (
            lambda: LogisticRegression().fit(torch.zeros(3, 6000), [0, 1, 1]),
            ConfigError,
            "at most 5000 weights",
        ),
    ],
)
def test_bad_input_is_one_sentence(do, error, said):
    with pytest.raises(error, match=said) as found:
        do()
    assert "\n" not in str(found.value)
