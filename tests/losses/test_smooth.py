"""Losses and rows that are functions of the user's: what the door says, and what is checked."""

import numpy as np
import pytest
from scipy import optimize, sparse

import sparseopt as so
from sparseopt.testing import check_derivatives


def quartic(grad=lambda w: 4 * w**3):
    return so.Smooth(lambda w: np.sum(w**4), grad, n_features=3)


@pytest.mark.parametrize("grad", ["2-point", "3-point", True])
def test_gradients_come_in_four_ways(grad):
    fun = (lambda w: (np.sum(w**4), 4 * w**3)) if grad is True else lambda w: np.sum(w**4)
    loss = so.Smooth(fun, grad, n_features=3)
    w = np.array([1.0, -2.0, 0.5])
    assert loss.evaluate(w) == quartic().evaluate(w)
    assert loss.gradient(w) == pytest.approx(quartic().gradient(w), rel=1e-6)
    value, slope = loss.value_and_gradient(w)
    assert (value, slope.tolist()) == (loss.evaluate(w), loss.gradient(w).tolist())


@pytest.mark.parametrize("scheme", ["2-point", "3-point"])
def test_differences_keep_out_of_where_a_function_is_no_number(scheme):
    """Of a square root at zero from the left, of the logarithm's mirror image from the right."""
    loss = so.Smooth(lambda w: np.sqrt(1.0 - w[0]) + np.sqrt(w[1]), scheme, n_features=2)
    with np.errstate(invalid="ignore"):
        slope = loss.gradient(np.array([1.0 - 1e-12, 1.0]))
    assert np.all(np.isfinite(slope))
    assert slope[1] == pytest.approx(0.5, abs=1e-6)


def test_the_curvature_comes_from_gradients():
    w = np.array([1.0, -2.0, 0.5])
    assert quartic().curvatures_near(w) == pytest.approx(12 * w**2, rel=1e-8)
    assert quartic().hessian_near(w, np.zeros(3)).tolist() == [0.0] * 3
    assert quartic().restrict([2, 0]).gradient(np.array([0.5, 1.0])) == pytest.approx([0.5, 4.0])


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ((3.0, "2-point", 2), TypeError, "fun of Smooth must be a function"),
        ((np.sum, "4-point", 2), ValueError, '"2-point" or "3-point", got'),
        ((np.sum, None, 2), ValueError, "got None"),
        ((np.sum, "2-point", 0), ValueError, "n_features of Smooth must be at least 1"),
        ((np.sum, "2-point", 2.0), TypeError, "whole number"),
    ],
)
def test_a_loss_of_functions_is_checked_at_the_door(arguments, kind, words):
    with pytest.raises(kind, match=words):
        so.Smooth(*arguments)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ((3.0, 0, 1), TypeError, "fun of NonlinearConstraint must be a function"),
        ((np.sum, 0, 1, "cs"), ValueError, "jac of NonlinearConstraint must be"),
        ((np.sum, 2, 1), ValueError, "lower side exceeds"),
        ((np.sum, np.nan, 1), ValueError, "without NaN"),
        ((np.sum, [0, 0], [1, 1, 1]), ValueError, "2 lower and 3 upper"),
        ((np.sum, np.inf, np.inf), ValueError, "is empty"),
        ((np.sum, [[0.0]], 1), ValueError, "a number or a vector"),
    ],
)
def test_rows_of_functions_are_checked_at_the_door(arguments, kind, words):
    with pytest.raises(kind, match=words):
        so.NonlinearConstraint(*arguments)


def test_scipys_constraints_are_taken_as_they_are():
    loss = so.Quadratic(np.eye(2), -np.ones(2))
    given = [
        optimize.NonlinearConstraint(lambda w: w @ w, -np.inf, 1.0),
        optimize.LinearConstraint([[1.0, 1.0]], -np.inf, 1.2),
        optimize.Bounds([0.0, 0.0], [0.5, 1.0]),
    ]
    problem = so.Problem(loss, constraint=given)
    assert [type(part) for part in problem.constraint.parts] == [so.NonlinearConstraint, so.LinearConstraint, so.Box]
    assert problem.violation(np.array([0.6, 1.0])) == pytest.approx(0.4)
    solution = so.solve(problem, tol=1e-6)
    assert solution.w == pytest.approx([0.5, 0.7], abs=1e-5)
    assert solution.duals.box[0] > 0.0
    with pytest.raises(ValueError, match="'cs', which is not known here"):
        so.Problem(loss, constraint=optimize.NonlinearConstraint(np.sum, 0, 1, jac="cs"))
    with pytest.raises(TypeError, match="must be a Constraint or None"):
        so.Problem(loss, constraint=lambda w: w)


def test_a_sparse_jacobian_stays_sparse():
    rows = so.NonlinearConstraint(lambda w: w**2, -np.inf, np.full(5, 4.0), lambda w: sparse.diags_array(2 * w))
    problem = so.Problem(so.Quadratic(np.eye(5), -np.arange(5.0)), so.L1(0.5), rows)
    solution = so.solve(problem, tol=1e-7)
    assert solution.status is so.Status.CONVERGED
    assert solution.w == pytest.approx([0.0, 0.5, 1.5, 2.0, 2.0], abs=1e-6)
    assert solution.duals.rows == pytest.approx([0.0, 0.0, 0.0, 0.125, 0.375], abs=1e-6)


def test_derivatives_that_are_wrong_are_found():
    w = [1.0, -2.0, 0.5]
    check_derivatives(quartic(), w)
    check_derivatives(quartic("2-point"), w)
    check_derivatives(so.LeastSquares(np.eye(3), w), w)
    with pytest.raises(AssertionError, match="the gradient of Smooth: entry 0 is 3 at w, finite differences give 4"):
        check_derivatives(quartic(lambda w: 3 * w**2), [1.0, -2.0, 4 / 3])
    rows = so.NonlinearConstraint(lambda w: [w @ w, w[0] * w[2]], 0, 1, lambda w: [2 * w, [w[2], 0.0, 2 * w[0]]])
    with pytest.raises(AssertionError, match="entry row 1, 2 is 2 at w, finite differences give 1"):
        check_derivatives(rows, w)
    with pytest.raises(AssertionError, match="the value is"):
        check_derivatives(so.Smooth(lambda w: np.inf, np.zeros_like, 3), w)


def test_kernels_cannot_be_reached():
    with pytest.raises(TypeError, match="AugmentedLagrangian"):
        quartic().bend(np.zeros(3), np.zeros(3))
    assert not so.Problem(quartic()).is_convex


def test_a_certificate_of_functions_is_verified():
    problem = so.Problem(quartic(), so.L1(0.1), so.NonlinearConstraint(np.sum, 1.0, 1.0, np.ones_like))
    solution = so.solve(problem, w0=np.ones(3))
    solution.certificate.verify(problem)
    assert "violation" in solution.certificate.summary
    assert solution.certificate.complementarity <= 1e-6


@pytest.mark.parametrize(
    ("fun", "grad", "kind", "words"),
    [
        (lambda w: None, lambda w: w, TypeError, "fun of Smooth returned None"),
        (lambda w: w @ w + 1j, lambda w: w, ValueError, "fun of Smooth returned is complex"),
        (lambda w: w, lambda w: w, ValueError, "returned an array of shape"),
        (lambda w: w @ w, True, TypeError, "returned float64; with grad=True it must return the pair"),
        (lambda w: w @ w, lambda w: w + 1j, ValueError, "grad of Smooth returned is complex"),
        (lambda w: w @ w, lambda w: w[:1], ValueError, "grad of Smooth returned an array of shape"),
    ],
)
def test_what_a_function_returns_is_checked_in_words(fun, grad, kind, words):
    """Complex numbers were cut to their real part, with a warning of numpy only."""
    with pytest.raises(kind, match=words):
        so.Smooth(fun, grad, n_features=2).value_and_gradient(np.ones(2))


@pytest.mark.parametrize(
    ("fun", "words"),
    [
        (lambda w: None, "fun of NonlinearConstraint returned None"),
        (lambda w: w + 1j, "fun of NonlinearConstraint returned is complex"),
        (lambda w: w[: 1 + bool(w[0])], "returned 1 values at one point and 2 at another"),
    ],
)
def test_what_rows_return_is_checked_in_words(fun, words):
    rows = so.NonlinearConstraint(fun, 0.0, 1.0)
    with pytest.raises((TypeError, ValueError), match=words):
        rows.jacobian(np.zeros(2), rows.rows(np.zeros(2)))
