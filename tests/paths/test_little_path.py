"""Paths on little data, many points in one call: the same solutions as one by one, each with a certificate that holds."""

import copy
import pickle

import numpy as np
import pytest

import sparseopt as so
from sparseopt.conjugates import convex_form, ridged_norms
from sparseopt.paths import little_path
from sparseopt.proofs.duality import dual_bound
from sparseopt.proofs.many_points import look_at_many

RNG = np.random.default_rng(11)
N, P = 40, 25
X = RNG.standard_normal((N, P))
X[:, 0] += 4.0  # a mean, which an intercept takes off
X[:, 1] = X[:, 2]  # and a column twice
SIGNAL = X[:, 3:7] @ [1.0, -1.0, 0.7, 0.5]
NOISY = SIGNAL + RNG.standard_normal(N)
LABELS = np.where(NOISY > 0.0, 1.0, -1.0)
WEIGHTS, OFFSETS, FACTORS = RNG.uniform(0.5, 1.5, N), 0.3 * RNG.standard_normal(N), RNG.uniform(0.5, 2.0, P)
WEIGHTS[7] = 0.0
LOSSES = {
    "least squares": (so.LeastSquares, NOISY),
    "logistic": (so.Logistic, LABELS),
    "poisson": (so.Poisson, RNG.poisson(np.exp(0.5 * SIGNAL)).astype(np.float64)),
    "gamma": (so.Gamma, np.exp(0.5 * NOISY)),
}
PENALTIES = {
    "lasso": so.L1,
    "elastic net": lambda alpha: so.Ridged(so.L1(alpha), 0.1),
    "adaptive": lambda alpha: so.Weighted(so.L1(alpha), FACTORS),
    "adaptive net": lambda alpha: so.Weighted(so.Ridged(so.L1(alpha), 0.1), FACTORS),
}


def loss_of(name, weights=WEIGHTS, *, intercept=True, offset=OFFSETS):
    kind, y = LOSSES[name]
    return kind(X, y, weights, intercept=intercept, offset=offset)


def grid_of(loss, penalty, count=15):
    return [penalty(alpha) for alpha in so.alpha_grid(loss, count, 0.05)]


def assert_is_the_path(problem, terms, found, tol):
    assert len(found) == len(terms)
    for term, solution in zip(terms, found, strict=True):
        here = so.Problem(problem.loss, term)
        assert solution.certificate.relative_gap <= tol
        solution.certificate.verify(here)
        again = so.certify(here, solution.w)
        assert solution.certificate.objective == pytest.approx(again.objective, rel=1e-12, abs=1e-14)
        alone = so.solve(here, so.CoordinateDescent(), tol=tol)
        # both objectives are within their gaps of the same minimum
        slack = solution.certificate.gap + alone.certificate.gap + 1e-12
        assert abs(solution.certificate.objective - alone.certificate.objective) <= slack
        assert solution.intercept == pytest.approx(problem.loss.intercept_at(solution.w), abs=1e-9)


@pytest.mark.parametrize("tol", [1e-2, 1e-7])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_little_path_is_the_path_one_by_one(loss, penalty, intercept, tol):
    problem = so.Problem(loss_of(loss, intercept=intercept))
    terms = grid_of(problem.loss, PENALTIES[penalty])
    assert little_path.begun(problem, terms, None, tol) is not None
    assert_is_the_path(problem, terms, so.path(problem, terms, tol=tol), tol)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_look_at_many_points_proves_what_a_look_at_each_does(loss, penalty):
    """At any points, far from every minimum, the bounds are those of duality, and none is above a value that is reached."""
    made = loss_of(loss)
    terms = grid_of(made, PENALTIES[penalty], 6)
    W = np.where(RNG.random((6, P)) < 0.3, 0.1 * RNG.standard_normal((6, P)), 0.0)
    W[0] = 0.0
    forms = ridged_norms(terms, P)
    levels = np.array([np.mean(made.predict(w) - OFFSETS) for w in W])
    looks = look_at_many(made, forms[:, 0], forms[:, 1], W, levels)
    for k, term in enumerate(terms):
        here = so.Problem(made, term)
        bound = dual_bound(here, W[k], np.asarray(made.gradient(W[k])))
        assert looks.bound[k] == pytest.approx(bound, rel=1e-9, abs=1e-12)
        assert looks.objective[k] == pytest.approx(here.objective(W[k]), rel=1e-12)
        distance = convex_form(term, P).subgradient_distance(W[k], np.asarray(made.gradient(W[k])))
        assert looks.distance[k] == pytest.approx(distance.max(), rel=1e-9)
        assert looks.bound[k] <= so.solve(here, tol=1e-9).certificate.objective


@pytest.mark.parametrize("loss", LOSSES)
def test_a_point_that_the_kernel_does_not_reach_is_left_to_solve(loss, monkeypatch):
    problem = so.Problem(loss_of(loss))
    terms = grid_of(problem.loss, so.L1, 8)
    follow, calls = little_path.LittlePath.advance, []

    def every_second(run, most):
        calls.append(run.count)
        if len(calls) % 2:
            follow(run, 1)
        else:
            run.needs_help = True

    monkeypatch.setattr(little_path.LittlePath, "advance", every_second)
    found = so.path(problem, terms, tol=1e-7)
    assert len(calls) == len(terms)
    assert_is_the_path(problem, terms, found, 1e-7)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_does_not_pass_is_no_solution(loss, monkeypatch):
    """A kernel that gives anything is found out: every point comes from `solve` then."""
    problem = so.Problem(loss_of(loss))
    terms = grid_of(problem.loss, so.L1, 5)
    honest = little_path.LittlePath(problem, terms, ridged_norms(terms, P), 1e-7)
    kind = type(honest._follower)

    def follow(run, begin, end):
        run.points[begin:end], run.taken[begin:end] = 0.5, 1
        return end, 1, 1

    monkeypatch.setattr(kind, "follow", follow)
    assert_is_the_path(problem, terms, so.path(problem, terms, tol=1e-7), 1e-7)


@pytest.mark.parametrize("loss", ["least squares", "logistic"])
def test_solutions_are_made_when_they_are_asked_for_and_stay(loss):
    problem = so.Problem(loss_of(loss))
    terms = grid_of(problem.loss, so.L1)
    found, again = so.path(problem, terms), so.path(problem, terms)
    W = found.w
    assert len(found) == len(terms)
    assert found[3] is found[3]
    np.testing.assert_array_equal(W, np.stack([solution.w for solution in found]))
    W[:] = 7.0
    np.testing.assert_array_equal(found.w, again.w)
    landed = pickle.loads(pickle.dumps(copy.copy(again)))
    np.testing.assert_array_equal(landed.w, again.w)
    assert landed.largest_gap == again.largest_gap
    assert landed.terms == again.terms


@pytest.mark.parametrize("loss", ["least squares", "logistic"])
def test_a_little_path_ends_where_it_is_told_to(loss):
    problem = so.Problem(loss_of(loss))
    terms = grid_of(problem.loss, so.L1)
    whole = so.path(problem, terms)
    assert len(so.path(problem, terms, time_limit=0.0)) == 1
    enough = so.path(problem, terms, explained=0.3)
    assert np.sum(whole.explained < 0.3) + 1 == len(enough) < len(terms)
    np.testing.assert_array_equal(enough.w, whole.w[: len(enough)])
    np.testing.assert_array_equal(enough.explained, whole.explained[: len(enough)])
    seen = []
    stopped = so.path(problem, terms, callback=lambda place, solution: seen.append((place, solution)) or place == 4)
    assert [place for place, _ in seen] == [0, 1, 2, 3, 4]
    assert stopped.solutions == tuple(solution for _, solution in seen)


def test_what_is_not_little_or_not_a_norm_goes_its_own_way():
    logistic, terms = loss_of("logistic"), [so.L1(0.1)]
    assert little_path.begun(so.Problem(logistic), terms, None, 1e-6) is not None
    assert little_path.begun(so.Problem(logistic), terms, so.ProxNewton(), 1e-6) is None
    assert little_path.begun(so.Problem(logistic, constraint=so.Box(0.0, 1.0)), terms, None, 1e-6) is None
    assert little_path.begun(so.Problem(so.Huber(X, NOISY)), terms, None, 1e-6) is None
    assert little_path.begun(so.Problem(so.Logistic(X.astype(np.float32), LABELS)), terms, None, 1e-6) is None
    for term in (so.L1(0.0), so.Nonnegative(so.L1(0.1)), so.MCP(0.1), so.Cardinality(3)):
        assert little_path.begun(so.Problem(logistic), [term], None, 1e-6) is None
    assert little_path.begun(so.Problem(logistic), terms, None, 0.0) is None


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", ["logistic", "poisson", "gamma"])
def test_one_little_problem_is_solved_in_one_call(loss, intercept):
    made = loss_of(loss, intercept=intercept)
    for over in (2.0, 20.0, 200.0):
        problem = so.Problem(made, so.L1(so.alpha_max(made) / over))
        found, alone = so.solve(problem, tol=1e-8), so.solve(problem, so.ProxNewton(), tol=1e-8)
        assert found.status is so.Status.CONVERGED
        assert found.certificate.relative_gap <= 1e-8
        found.certificate.verify(problem)
        slack = found.certificate.gap + alone.certificate.gap + 1e-12
        assert abs(found.certificate.objective - alone.certificate.objective) <= slack


def test_a_limit_of_a_few_iterations_is_kept():
    problem = so.Problem(loss_of("logistic"), so.L1(0.01))
    assert so.solve(problem, tol=1e-10, max_iter=1).status is so.Status.ITERATION_LIMIT
    with pytest.raises((TypeError, ValueError), match="max_iter"):
        so.solve(problem, max_iter="many")


def test_data_that_cannot_be_written_is_read():
    data, labels = X.copy(), LABELS.copy()
    data.flags.writeable = labels.flags.writeable = False
    for kind, y in ((so.Logistic, labels), (so.LeastSquares, labels)):
        made = kind(data, y)
        assert so.path(so.Problem(made), grid_of(made, so.L1), tol=1e-8).largest_gap <= 1e-8
