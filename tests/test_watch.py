"""Runs that have no point to arrive at end soon, and others are not taken for them."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import sparseopt as so

RNG = np.random.default_rng(11)
N, P = 40, 9
X = RNG.standard_normal((N, P))
TWO = X[:, 0] + X[:, 1] > 0.0
THREE = np.argmax(X[:, :3], axis=1)
GROUPS = np.arange(P) // 3
# Without a look at the classes these runs go on for thousands of iterations.
SOON = 1000


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(
    "penalty", [so.MCP(0.03, 3.0), so.SCAD(0.03), so.GroupMCP(0.03, GROUPS)], ids=["MCP", "SCAD", "groups"]
)
def test_a_run_on_separated_classes_ends_soon_and_says_why(penalty, intercept):
    loss = so.Logistic(X, TWO, intercept=intercept)
    solution = so.solve(so.Problem(loss, penalty), tol=1e-12)
    assert solution.status is so.Status.STALLED
    assert solution.iterations <= SOON
    assert "separates the classes" in solution.certificate.remark
    assert loss.evaluate(solution.w) <= 1e-3 * np.log(2.0)


@pytest.mark.parametrize("penalty", [so.MCP(0.02, 3.0), so.L0(0.002)], ids=["MCP", "L0"])
def test_the_same_of_several_classes(penalty):
    solution = so.solve(so.Problem(so.Multinomial(X, THREE), penalty), tol=1e-12)
    assert solution.status is so.Status.STALLED
    assert solution.iterations <= SOON
    assert "separates the classes" in solution.certificate.remark


def test_the_same_of_events_that_are_ranked():
    loss = so.Cox(X[:15, :3], -X[:15, 0], np.ones(15))
    solution = so.solve(so.Problem(loss, so.MCP(0.02, 3.0)), tol=1e-12)
    assert solution.iterations <= SOON
    assert solution.status is so.Status.STALLED
    assert "ranks the events" in solution.certificate.remark


@dataclass(frozen=True)
class FreeAtFirst(so.Penalty):
    """alpha (|w| - 100)_+: no more for a while, and then more for ever."""

    alpha: float

    def value(self, w):
        return self.alpha * max(abs(w) - 100.0, 0.0)

    def prox(self, v, step):
        a = abs(v)
        return math.copysign(a if a <= 100.0 else max(a - step * self.alpha, 100.0), v)


@pytest.mark.parametrize(
    ("penalty", "constraint"),
    [(FreeAtFirst(0.01), None), (so.L0(0.002), so.Box(-1e3, 1e3)), (so.MCP(0.03, 3.0), so.Box(-1e3, 1e3))],
    ids=["a penalty that rises later", "L0 in a box", "MCP in a box"],
)
def test_what_holds_the_coefficients_later_is_not_overlooked(penalty, constraint):
    problem = so.Problem(so.Logistic(X, TWO), penalty, constraint)
    assert so.solve(problem, tol=1e-9, max_iter=500).certificate.remark == ""


def test_a_run_is_not_ended_where_a_penalty_rises_later():
    problem = so.Problem(so.Logistic(X, TWO), FreeAtFirst(0.01))
    solution = so.solve(problem, so.ProximalGradient(accelerated=False), tol=1e-12, max_iter=20_000)
    assert solution.status is so.Status.ITERATION_LIMIT


@pytest.mark.parametrize(
    ("labels", "penalty"),
    [
        (TWO, so.Ridged(so.MCP(0.03, 3.0), 1e-5)),
        (TWO, so.MCP(0.03, 1e4)),
        (X[:, 0] + X[:, 1] + 0.7 * RNG.standard_normal(N) > 0.0, so.MCP(0.03, 3.0)),
    ],
    ids=["ridge", "MCP that still rises", "not separated"],
)
def test_a_run_that_has_a_point_to_arrive_at_goes_on(labels, penalty):
    solution = so.solve(so.Problem(so.Logistic(X, labels), penalty), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.remark == ""
