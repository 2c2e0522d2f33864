"""The worst of several losses, and least squares under the worst perturbation: values, parts and refusals."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize_scalar

import sparseopt as so

RNG = np.random.default_rng(3)
N, P = 48, 5
X, Y = RNG.standard_normal((N, P)), RNG.standard_normal(N)
LABELS, WEIGHTS, OFFSET = np.sign(Y), RNG.uniform(0.2, 2.0, N), np.sin(np.arange(N))
GROUPS = np.array(["a", "b", "c"])[np.arange(N) % 3]
KINDS = {"squares": (so.LeastSquares, Y), "logistic": (so.Logistic, LABELS), "huber": (partial(so.Huber, delta=0.5), Y)}
W = RNG.standard_normal(P)


def losses_by_hand(kind, y, w, b):
    """Each group's loss by the definition of the loss on its samples alone."""
    found = []
    for name in "abc":
        rows = name == GROUPS
        part = kind(X[rows], y[rows], WEIGHTS[rows], offset=OFFSET[rows] + b)
        found.append(part.evaluate(w))
    return np.array(found)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_the_value_is_that_of_the_worst_group_at_the_best_constant(name, intercept, storage):
    kind, y = KINDS[name]
    baselines = np.array([0.1, 0.0, 0.3])
    loss = so.WorstCase.over_groups(
        kind, storage(X), y, GROUPS, sample_weight=WEIGHTS, intercept=intercept, offset=OFFSET, baselines=baselines
    )

    def worst(b):
        return float(np.max(losses_by_hand(kind, y, W, b) - baselines))

    expected = minimize_scalar(worst, bracket=(-1.0, 1.0), tol=1e-12).fun if intercept else worst(0.0)
    assert loss.evaluate(W) == pytest.approx(expected, rel=1e-10)
    assert np.max(loss.values(W)) == loss.evaluate(W)
    assert worst(loss.intercept_at(W)) == pytest.approx(loss.evaluate(W), rel=1e-12)
    assert loss.n_groups == 3
    assert loss.names == ("a", "b", "c")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("intercept", [False, True])
def test_no_mean_is_above_the_worst(name, intercept):
    kind, y = KINDS[name]
    loss = so.WorstCase.over_groups(kind, X, y, GROUPS, intercept=intercept, baselines=[0.1, 0.0, 0.3])
    for weights in np.random.default_rng(0).dirichlet(np.ones(3), 20):
        assert loss.mixture(weights).evaluate(W) - weights @ loss.baselines <= loss.evaluate(W) + 1e-12


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("intercept", [False, True])
def test_the_subgradient_supports_the_loss(name, intercept):
    kind, y = KINDS[name]
    loss = so.WorstCase.over_groups(kind, X, y, GROUPS, intercept=intercept)
    robust = [so.Perturbed(loss, 0.2)] if name == "squares" else []
    for term in (loss, *robust):
        height, slope = term.evaluate(W), term.gradient(W)
        for step in np.random.default_rng(1).standard_normal((30, P)):
            assert term.evaluate(W + step) >= height + slope @ step - 1e-9


def test_groups_that_overlap_are_given_by_their_rows():
    mask = X[:, 0] > 0.0
    loss = so.WorstCase.over_groups(so.LeastSquares, X, Y, {"all": np.arange(N), "positive": mask})
    assert loss.values(W) == pytest.approx(
        [so.LeastSquares(X, Y).evaluate(W), so.LeastSquares(X[mask], Y[mask]).evaluate(W)]
    )
    named = so.WorstCase.over_groups(so.LeastSquares, X, Y, {"all": mask | True}, baselines={"all": 1.0})
    assert named.evaluate(W) == pytest.approx(so.LeastSquares(X, Y).evaluate(W) - 1.0)


def test_one_loss_is_itself():
    loss, alone = so.WorstCase((so.LeastSquares(X, Y),), intercept=True), so.LeastSquares(X, Y, intercept=True)
    assert loss.evaluate(W) == pytest.approx(alone.evaluate(W), rel=1e-12)
    assert loss.gradient(W) == pytest.approx(alone.gradient(W))
    assert loss.intercept_at(W) == pytest.approx(alone.intercept_at(W))


@pytest.mark.parametrize("intercept", [False, True])
def test_the_worst_perturbation_attains_the_loss_and_no_other_is_worse(intercept):
    """Xu, Caramanis and Mannor (2010), with weights."""
    inner = so.WorstCase.over_groups(so.LeastSquares, X, Y, GROUPS, sample_weight=WEIGHTS, intercept=intercept)
    radius = np.array([0.0, 0.1, 0.2, 0.3, 1.0])
    loss = so.Perturbed(inner, radius)
    stack, found = inner.stack, loss.perturbation(W)

    def worst(perturbation, b):
        r = (stack.A + perturbation) @ W + b - stack.y
        return float(np.max(inner.per_loss(r * r / 2)))

    for first, last in zip(stack.starts[:-1], stack.starts[1:], strict=True):
        sizes = np.sqrt(stack.weights[first:last] @ found[first:last] ** 2)
        assert sizes == pytest.approx(radius)
        for other in np.random.default_rng(2).standard_normal((20, last - first, P)):
            scaled = np.zeros_like(found)
            scaled[first:last] = other / np.sqrt(stack.weights[first:last] @ other**2) * radius
            assert worst(scaled, loss.intercept_at(W)) <= loss.evaluate(W) + 1e-12
    assert worst(found, loss.intercept_at(W)) == pytest.approx(loss.evaluate(W), rel=1e-12)


def test_a_restriction_has_some_of_the_coefficients():
    loss = so.WorstCase.over_groups(so.LeastSquares, X, Y, GROUPS, intercept=True)
    columns = np.array([0, 3])
    full = np.zeros(P)
    full[columns] = W[columns]
    for term in (loss, so.Perturbed(loss, np.arange(P) / 10.0)):
        assert term.restrict(columns).evaluate(W[columns]) == pytest.approx(term.evaluate(full), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: so.WorstCase(()), ValueError, "no losses"),
        (lambda: so.WorstCase((so.Quadratic(np.eye(2), np.ones(2)),)), TypeError, "losses on samples"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y), so.Logistic(X, LABELS))), TypeError, "one class"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y), so.LeastSquares(X[:, :2], Y))), ValueError, "features"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y, intercept=True),)), ValueError, "intercept of its own"),
        (lambda: so.WorstCase((so.Huber(X, Y, delta=1.0), so.Huber(X, Y, delta=2.0))), ValueError, "differ in delta"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y),), intercept="yes"), TypeError, "True or False"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y),), baselines=[1.0, 2.0]), ValueError, "baselines"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y),), baselines=[np.nan]), ValueError, "baselines"),
        (lambda: so.WorstCase((so.LeastSquares(X, Y),), names=["a", "b"]), ValueError, "names"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, GROUPS[:-1]), ValueError, "one label"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, {}), ValueError, "no group"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, {"empty": []}), ValueError, "'empty' is empty"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, {"far": [N]}), ValueError, "row numbers"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, {"m": [True]}), ValueError, "mask"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y[:-1], GROUPS), ValueError, "y must have one entry"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y * np.nan, GROUPS), ValueError, "NaN"),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X * np.nan, Y, GROUPS), ValueError, "NaN"),
        (
            lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, np.full(N, np.nan)),
            ValueError,
            "groups contains NaN",
        ),
        (
            lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, np.array(["a", None] * (N // 2))),
            ValueError,
            "groups holds labels that have no order",
        ),
        (
            lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, GROUPS, sample_weight=(GROUPS != "b") * 1.0),
            ValueError,
            "'b' has no weight",
        ),
        (lambda: so.WorstCase.over_groups(so.LeastSquares, X, Y, GROUPS, baselines={"a": 1.0}), ValueError, "name the"),
        (lambda: so.Perturbed(so.Logistic(X, LABELS), 0.1), TypeError, "LeastSquares"),
        (lambda: so.Perturbed(so.LeastSquares(X, Y), -0.1), ValueError, "nonnegative"),
        (lambda: so.Perturbed(so.LeastSquares(X, Y), [0.1, 0.2]), ValueError, "shape"),
        (lambda: so.Perturbed(so.LeastSquares(X, Y), np.inf), ValueError, "finite"),
        (
            lambda: so.Perturbed(so.WorstCase((so.LeastSquares(X, Y),), baselines=[0.1]), 0.1),
            ValueError,
            "no baselines",
        ),
    ],
)
def test_what_makes_no_worst_case_is_refused_in_words(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_nothing_lent_is_changed():
    x, y, groups = X.copy(), Y.copy(), GROUPS.copy()
    for array in (x, y):
        array.flags.writeable = False
    so.solve(so.Problem(so.WorstCase.over_groups(so.LeastSquares, x, y, groups, intercept=True), so.L1(0.1)))
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)
