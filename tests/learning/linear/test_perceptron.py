"""The perceptron against scikit-learn's, against Novikoff's bound, and where there is no plane."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Perceptron as Peer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from phosphene.core.errors import ConfigError, DataError, PhospheneError, UnknownNameError
from phosphene.learning.linear.perceptron import Perceptron, mistake_bound, perceptron_update

XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


def separable(seed, n=60, d=4, classes=2):
    random = np.random.default_rng(seed)
    centers = 6 * random.normal(size=(classes, d))
    y = random.integers(classes, size=n)
    return centers[y] + random.normal(size=(n, d)) * 0.3, y


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("eta0", [1.0, 0.5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_weights_are_scikit_learns(classes, eta0, fit_intercept):
    for seed in range(5):
        x, y = separable(seed, classes=classes)
        own = Perceptron(eta0=eta0, fit_intercept=fit_intercept, max_iter=50).fit(x, y)
        peer = Peer(
            eta0=eta0, fit_intercept=fit_intercept, shuffle=False, tol=None, max_iter=50
        ).fit(x, y)
        if own.converged_:
            assert np.allclose(own.coef_, peer.coef_, atol=1e-9)
            assert np.allclose(own.intercept_, peer.intercept_, atol=1e-9)
            assert (own.predict(x) == peer.predict(x)).all()
            assert own.score(x, y) == 1.0


def test_novikoffs_bound_on_200_separable_sets():
    for seed in range(200):
        g = torch.Generator().manual_seed(seed)
        n, d = 10 + seed % 60, 2 + seed % 8
        x = torch.randn(n, d, generator=g, dtype=torch.float64)
        u = torch.randn(d, generator=g, dtype=torch.float64)
        y = (x @ u > 0).double() * 2 - 1
        x = x + 0.05 * y[:, None] * u
        found = Perceptron(fit_intercept=False, max_iter=10**6).fit(x, y.long())
        assert found.converged_
        assert found.mistakes_ <= mistake_bound(x, y, u)


def test_the_bound_is_reached_by_orthogonal_examples():
    n = 12
    y = np.array([-1, 1] * 6)
    found = Perceptron(fit_intercept=False).fit(np.eye(n), y)
    bound = mistake_bound(torch.eye(n), torch.tensor(y).float(), torch.tensor(y).float())
    assert found.mistakes_ == n == round(bound)


@pytest.mark.parametrize("eta0", [1.0, 3.0])
def test_on_xor_the_weights_recur(eta0):
    found = Perceptron(eta0=eta0, max_iter=500).fit(*XOR)
    assert not found.converged_
    start, period = found.cycle_
    states = [Perceptron(eta0=eta0, max_iter=start + k).fit(*XOR) for k in range(1, period)]
    last = Perceptron(eta0=eta0, max_iter=start).fit(*XOR)
    assert (last.coef_ == found.coef_).all()
    assert all((s.coef_ != found.coef_).any() for s in states)


def test_the_pocket_is_never_worse_and_better_on_noise():
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3))
    y = (x[:, 0] + 0.3 * random.normal(size=300) > 0).astype(int)
    pairs = [
        (
            Perceptron(max_iter=k, pocket=True).fit(x, y).score(x, y),
            Perceptron(max_iter=k).fit(x, y).score(x, y),
        )
        for k in range(1, 15)
    ]
    assert all(pocket >= plain - 0.02 for pocket, plain in pairs)
    assert sum(pocket for pocket, _ in pairs) > sum(plain for _, plain in pairs) + 0.1
    assert [p for p, _ in pairs] == sorted(p for p, _ in pairs)


def by_gallants_rule(x, y, passes):
    """The pocket's weights, one example at a time: the longest run, if it makes fewer errors."""
    w, run, longest, pocket, fewest = np.zeros(x.shape[1]), 0, 0, None, 0
    for _ in range(passes):
        for example, sign in [*zip(x, y, strict=True), (None, 0)]:  # 0: the pass ends
            if sign and sign * (example @ w) > 0:
                run += 1
                continue
            errors = int((y * (x @ w) <= 0).sum())
            if pocket is None or (run > longest and errors < fewest):
                pocket, fewest, longest = w, errors, run
            if sign:
                w, run = w + sign * example, 0
    return pocket


@pytest.mark.parametrize("n", [7, 25, 300, 900])
def test_the_pocket_follows_gallants_rule(n):
    for seed in range(12):
        random = np.random.default_rng(seed)
        x = random.integers(-9, 10, size=(n, 2)).astype(float)
        x = x + 0.5  # no example on the plane through 0
        noise = 0.02 if n > 256 else 0.2
        y = np.where((x.sum(1) > 0) != (random.random(n) < noise), 1, -1)
        if abs(y.sum()) == n:
            continue
        for passes in (1, 2, 6):
            own = Perceptron(max_iter=passes, pocket=True, fit_intercept=False).fit(x, y)
            if own.n_iter_ == passes:
                assert own.coef_[0].tolist() == by_gallants_rule(x, y, passes).tolist()


def test_a_run_may_be_longer_than_what_is_looked_at_together():
    """(1, 0) is right 300 times, (1, 5) 522 times and on one example more, (1, 4) 3 times."""
    x = [(1, 0)] * 301 + [(0, 5)] + [(1, 1)] * 522 + [(0, -1)] + [(1, 1)] * 3
    x, y = np.array(x, float), np.ones(len(x))
    learner = Perceptron(pocket=True, fit_intercept=False)
    learner.partial_fit(x, y, classes=[-1, 1])
    assert learner.coef_[0].tolist() == [1, 5] == by_gallants_rule(x, y, 1).tolist()


def test_partial_fit_empties_the_pocket():
    """What was right on the first examples is wrong on those of the next call."""
    x, y = separable(5)
    learner = Perceptron(pocket=True)
    for _ in range(5):
        learner.partial_fit(x, y, classes=[0, 1])
    assert learner.score(x, y) == 1.0
    for _ in range(5):
        learner.partial_fit(x, 1 - y)
    assert learner.score(x, 1 - y) == 1.0


def test_partial_fit_is_one_pass():
    x, y = separable(3)
    whole = Perceptron(max_iter=3).fit(x, y)
    parts = Perceptron()
    for _ in range(whole.n_iter_):
        parts.partial_fit(x, y, classes=[0, 1])
    assert np.array_equal(whole.coef_, parts.coef_)
    assert parts.mistakes_ == whole.mistakes_


def test_one_class_first_leaves_nothing_behind():
    learner = Perceptron()
    with pytest.raises(DataError, match="two classes or more"):
        learner.partial_fit([[0.0], [1.0]], ["a", "a"])
    assert learner.partial_fit([[0.0], [1.0]], ["a", "b"]).classes_.tolist() == ["a", "b"]


def test_in_scikit_learns_tools():
    x, y = separable(1, n=90, classes=3)
    names = np.array(["a", "b", "c"])[y]
    piped = make_pipeline(StandardScaler(), Perceptron())
    assert cross_val_score(piped, x, names, cv=3).mean() > 0.95
    search = GridSearchCV(Perceptron(), {"eta0": [0.1, 1.0], "pocket": [True, False]}, cv=3)
    assert search.fit(x, names).best_score_ > 0.95
    copied = clone(Perceptron(eta0=2.0))
    assert copied.get_params()["eta0"] == 2.0
    assert repr(copied) == "Perceptron(eta0=2.0)"


def test_it_imports_no_scikit_learn():
    import subprocess
    import sys

    code = (
        "import sys; from phosphene.learning.linear.perceptron import Perceptron;"
        "Perceptron().fit([[0.0], [1.0]], [0, 1]); sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tensors_in_tensors_out():
    x, y = separable(2)
    found = Perceptron().fit(torch.from_numpy(x).float(), torch.from_numpy(y))
    made = found.predict(torch.from_numpy(x))
    assert isinstance(made, torch.Tensor)
    assert torch.equal(made, torch.from_numpy(y))
    assert isinstance(found.decision_function(torch.from_numpy(x)), torch.Tensor)
    assert isinstance(found.predict(x), np.ndarray)


def test_shuffled_orders_follow_the_seed():
    x, y = separable(4, n=200, d=2)
    first, again = (Perceptron(shuffle=True, random_state=5).fit(x, y) for _ in range(2))
    assert np.array_equal(first.coef_, again.coef_)


def test_shuffling_gives_each_pass_an_order_of_its_own(monkeypatch):
    """Where weights stay 0 every example is a mistake, in the order in which they come."""
    seen = []
    monkeypatch.setattr(
        "phosphene.learning.linear.perceptron.perceptron_update",
        lambda w, x, y, eta: seen.append(int(x[0])) or w,
    )
    x, y = np.arange(20.0)[:, None], np.arange(20) % 2
    Perceptron(shuffle=True, max_iter=5).fit(x, y)
    orders = {tuple(seen[k : k + 20]) for k in range(0, 100, 20)}
    assert len(orders) == 5
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_a_wrong_update_is_noticed(monkeypatch):
    """Without the label the same bound is broken."""
    monkeypatch.setattr(
        "phosphene.learning.linear.perceptron.perceptron_update", lambda w, x, y, eta: w + eta * x
    )
    x, y = separable(0)
    assert not Perceptron(max_iter=100).fit(x, y).converged_
    assert perceptron_update(torch.ones(2), torch.ones(2), torch.tensor(-1.0)).tolist() == [0, 0]


FINE = [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        (lambda: Perceptron(eta0=0.0), ConfigError, "eta0 must be above 0, got 0.0"),
        (lambda: Perceptron(max_iter=1.5), ConfigError, "max_iter must be a whole number, got 1.5"),
        (lambda: Perceptron().set_params(max_iter=2.0), ConfigError, "whole number, got 2.0"),
        (lambda: Perceptron(max_iter=0), ConfigError, "max_iter must be at least 1"),
        (lambda: Perceptron().set_params(eta=1.0), UnknownNameError, "did you mean 'eta0'"),
        (lambda: Perceptron().set_params(max_iter="x"), ConfigError, "whole number"),
        (lambda: Perceptron().predict(FINE), ConfigError, "has learned nothing yet"),
        (lambda: Perceptron().fit(FINE, [1, 1]), DataError, "two classes or more, got"),
        (lambda: Perceptron().fit(FINE, [None, 1]), DataError, "all numbers or all text"),
        (lambda: Perceptron().fit(FINE, [1]), DataError, "y must be 2 labels"),
        (lambda: Perceptron().fit(FINE, [0.5, 1.0]), DataError, "whole numbers or text, got 0.5"),
        (lambda: Perceptron().fit([0.0, 1.0], [0, 1]), DataError, "X must be a table"),
        (lambda: Perceptron().fit([["a"], ["b"]], [0, 1]), DataError, "X must be numbers"),
        (lambda: Perceptron().fit(np.eye(2) * 1j, [0, 1]), DataError, "real numbers, got complex"),
        (lambda: Perceptron().fit([[float("nan")], [0]], [0, 1]), DataError, "must be finite"),
        (lambda: Perceptron().fit(FINE, [0, 1]).predict([[1.0]]), DataError, "1 features, but 2"),
        (
            lambda: Perceptron().fit(FINE, [0, 1]).partial_fit(FINE, [0, 2]),
            DataError,
            "y holds 2, which is none of the classes",
        ),
        (
            lambda: mistake_bound(torch.eye(2), torch.ones(2), -torch.ones(2)),
            DataError,
            "does not separate",
        ),
    ],
)
def test_bad_input_is_one_sentence(do, error, said):
    with pytest.raises(error, match=said) as found:
        do()
    assert isinstance(found.value, PhospheneError)
    assert "\n" not in str(found.value)
