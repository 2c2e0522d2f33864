"""Certificates are true: no feasible point lies below the bound, and a wrong claim is caught."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(2)
N, P = 25, 6
X = RNG.standard_normal((N, P))
S = sparse.csc_array(np.where(np.abs(X) > 0.7, X, 0.0))
Y = X[:, 0] - X[:, 2] + 0.2 * RNG.standard_normal(N)
LABELS = Y + 0.5 * RNG.standard_normal(N) > 0
WEIGHTS = RNG.uniform(0.1, 2.0, N)
Q = X.T @ X / N

LOSSES = {
    "least squares": so.LeastSquares(X, Y),
    "least squares, centred, sparse": so.LeastSquares(S, Y + 3.0, sample_weight=WEIGHTS, intercept=True),
    "logistic": so.Logistic(X, LABELS, sample_weight=WEIGHTS),
    "logistic, intercept": so.Logistic(S, LABELS, intercept=True),
    "huber": so.Huber(X, Y, delta=0.3),
    "huber, intercept": so.Huber(X, Y + 3.0, intercept=True, delta=0.3, sample_weight=WEIGHTS),
    "quadratic": so.Quadratic(Q, -X.T @ Y / N),
}
TERMS = {
    "l1": so.L1(0.1),
    "ridged": so.Ridged(so.L1(0.05), 0.1),
    "weighted": so.Weighted(so.L1(0.1), [0.0, 0.0, 1.0, 1.0, 2.0, 3.0]),
    "nonnegative": so.Nonnegative(so.L1(0.05)),
    "nothing": so.Zero(),
    "box": so.Box(-0.3, 0.5),
    "half box": so.Box(
        np.array([-np.inf, -0.1, -np.inf, 0.0, 0.0, 0.2]), np.array([0.4, np.inf, np.inf, 0.0, np.inf, np.inf])
    ),
    "simplex": so.Simplex(),
    "l1 ball": so.L1Ball(0.6),
}

# Every loss with a term whose slopes are half free, and every term with two losses: each pair compiles.
PAIRS = [
    (loss, term)
    for loss in LOSSES
    for term in TERMS
    if term in ("weighted", "half box")
    or loss in ("least squares", "huber, intercept")
    or (loss, term) == ("logistic, intercept", "nothing")
]


def problem_of(loss, term):
    return (
        so.Problem(LOSSES[loss], TERMS[term])
        if isinstance(TERMS[term], so.Penalty)
        else so.Problem(LOSSES[loss], constraint=TERMS[term])
    )


def feasible(problem, w):
    if problem.constraint is not None:
        return problem.constraint.project(w)
    return np.maximum(w, 0.0) if isinstance(problem.penalty, so.Nonnegative) else w


@pytest.mark.parametrize(("loss", "term"), PAIRS)
def test_no_point_lies_below_the_bound_of_any_other(loss, term):
    """The bound from any w is below the objective at every feasible point, near and far."""
    problem = problem_of(loss, term)
    random = np.random.default_rng(0)
    solution = so.solve(problem, tol=1e-9)
    scales = (0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0)
    points = [feasible(problem, solution.w + scale * random.standard_normal(P)) for scale in scales for _ in range(4)]
    lowest = min(problem.objective(w) for w in points)
    for w in points:
        certificate = so.certify(problem, w)
        assert certificate.lower_bound <= lowest
        assert certificate.gap >= certificate.objective - lowest
        assert certificate.violation <= 1e-12


@pytest.mark.parametrize(("loss", "term"), PAIRS)
def test_a_solution_is_proven_by_duality(loss, term):
    solution = so.solve(problem_of(loss, term), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert 0.0 <= solution.certificate.relative_gap <= 1e-9


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-8, 10.0))
def test_the_gap_is_at_least_what_a_step_away_costs(seed, scale):
    """For L1 with a strongly convex loss: f(w) - f* >= modulus |w - w*|**2 / 2, so the gap must exceed that."""
    problem = problem_of("least squares", "l1")
    best = so.solve(problem, tol=1e-12).w
    step = np.random.default_rng(seed).standard_normal(P)
    step *= scale / np.linalg.norm(step)
    modulus = np.linalg.eigvalsh(Q)[0]
    certificate = so.certify(problem, best + step)
    assert certificate.gap >= modulus * scale**2 / 2 * (1 - 1e-6) - 1e-12
    assert certificate.gap >= problem.objective(best + step) - problem.objective(best) - 1e-12


@pytest.mark.parametrize("loss", ["least squares", "logistic, intercept"])
def test_the_gap_grows_as_w_moves_away(loss):
    problem = problem_of(loss, "l1")
    best = so.solve(problem, tol=1e-12).w
    step = np.random.default_rng(0).standard_normal(P)
    gaps = [so.certify(problem, best + t * step).gap for t in (0.0, 1e-3, 1e-2, 0.1, 1.0)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 1e-10 < gaps[1]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_the_bound_of_float32_data_is_right_for_that_data(kind, storage):
    """Sums are in float64: the bound holds for the problem as its data is, to 1e-12."""
    X32, y32 = X.astype(kind), Y.astype(kind)
    problem = so.Problem(so.LeastSquares(storage(X32), y32), so.L1(0.1))
    exact = so.Problem(so.LeastSquares(storage(X32.astype(np.float64)), y32.astype(np.float64)), so.L1(0.1))
    found = so.solve(problem, tol=1e-5)
    best = so.solve(exact, tol=1e-12)
    assert found.w.dtype == kind
    assert found.certificate.relative_gap <= 1e-5
    # the weights 1/n of the float32 problem are float32, too
    slack = 0.0 if kind is np.float64 else 1e-7 * best.certificate.objective
    assert found.certificate.lower_bound <= best.certificate.objective + slack
    assert found.certificate.objective >= best.certificate.lower_bound - slack


def test_a_perfect_fit_has_a_gap_that_ends():
    loss = so.LeastSquares(np.eye(4), np.arange(4.0))
    solution = so.solve(so.Problem(loss), tol=1e-8)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.relative_gap <= 1e-8


def test_a_problem_that_is_zero_everywhere_is_certified():
    solution = so.solve(so.Problem(so.LeastSquares(np.eye(3), np.zeros(3)), so.L1(0.1)))
    assert solution.certificate.gap == 0.0
    assert solution.certificate.relative_gap == 0.0
    assert solution.support.size == 0


@pytest.mark.parametrize("penalty", [so.L0(0.02), so.MCP(0.1), so.SCAD(0.1), so.Ridged(so.L0(0.02), 0.1)], ids=repr)
def test_no_bound_is_claimed_where_none_is_known(penalty):
    solution = so.solve(so.Problem(LOSSES["least squares"], penalty))
    assert solution.certificate.lower_bound == -np.inf
    assert solution.certificate.gap == np.inf
    assert solution.certificate.proof == "stationarity"
    assert solution.certificate.stationarity <= 1e-6 * np.abs(LOSSES["least squares"].gradient(np.zeros(P))).max()
    with pytest.raises(so.NotCertified, match="relative gap inf exceeds 0.001"):
        solution.require(gap=1e-3)


SEPARATED = so.Logistic(X, X[:, 0] + X[:, 1] > 0.0, intercept=True)


@pytest.mark.parametrize(
    ("penalty", "constraint"),
    [(so.MCP(1e-3, 3.0), None), (so.SCAD(1e-3), None), (so.L0(1e-3), None), (so.Zero(), so.Cardinality(2))],
    ids=["MCP", "SCAD", "L0", "Cardinality"],
)
def test_words_say_that_separated_classes_have_no_best_point(penalty, constraint):
    problem = so.Problem(SEPARATED, penalty, constraint)
    w = np.zeros(P)
    w[:2] = 30.0
    certificate = so.certify(problem, w)
    assert "separates the classes" in certificate.summary
    assert problem.objective(2.0 * w) < certificate.objective


@pytest.mark.parametrize(
    ("loss", "penalty", "constraint"),
    [
        (SEPARATED, so.Ridged(so.MCP(1e-3, 3.0), 1e-6), None),
        (SEPARATED, so.MCP(1e3, 3.0), None),
        (SEPARATED, so.L0(1e-3), so.Box(-40.0, 40.0)),
        (so.Logistic(X, LABELS), so.L0(1e-3), None),
        (so.Huber(X, Y), so.L0(1e-3), None),
    ],
    ids=["ridge", "MCP that still rises", "Box", "not separated", "no classes"],
)
def test_no_such_words_where_something_holds_the_coefficients(loss, penalty, constraint):
    w = np.zeros(P)
    w[:2] = 30.0
    assert so.certify(so.Problem(loss, penalty, constraint), w).remark == ""


@pytest.mark.parametrize("intercept", [False, True])
def test_words_say_that_several_separated_classes_have_no_best_point(intercept):
    loss, W = so.Multinomial(X, np.argmax(X[:, :3], axis=1), intercept=intercept), np.zeros((P, 3))
    W[:3] = 300.0 * np.eye(3)
    problem = so.Problem(loss, so.MCP(1e-3, 3.0))
    certificate = so.certify(problem, W)
    assert "separates the classes" in certificate.summary
    # it may be so little already that the fall is below rounding
    assert problem.objective(2.0 * W) <= certificate.objective
    assert so.certify(replace(problem, penalty=so.Ridged(problem.penalty, 1e-6)), W).remark == ""


def test_no_such_words_where_a_sample_is_of_several_classes():
    shares = np.eye(3)[np.argmax(X[:, :3], axis=1)]
    shares[0] = 0.5, 0.3, 0.2
    W = np.zeros((P, 3))
    W[:3] = 300.0 * np.eye(3)
    assert so.certify(so.Problem(so.Multinomial(X, shares), so.MCP(1e-3, 3.0)), W).remark == ""
    # nobody asks on which side samples without a weight are
    weights = np.ones(N)
    weights[0] = 0.0
    loss = so.Multinomial(X, shares, sample_weight=weights)
    assert so.certify(so.Problem(loss, so.MCP(1e-3, 3.0)), W).remark != ""


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_words_say_that_ranked_events_have_no_best_point(ties):
    times, strata = np.round(-2.0 * X[:, 0]), np.arange(N) % 2
    ranks = np.round(2.0 * X[:, :1])  # events of one time have one score
    w = np.full(1, 5.0)

    def remark(**changes):
        data = {"X": ranks, "time": times, "event": LABELS, "ties": ties, "strata": strata} | changes
        problem = so.Problem(so.Cox(**data), so.MCP(1e-3, 3.0))
        certificate = so.certify(problem, w)
        assert certificate.remark == "" or problem.objective(2.0 * w) <= certificate.objective
        return certificate.remark

    assert "ranks the events as they came" in remark()
    assert remark(time=-times) == ""
    # one event that others at risk are ahead of, unless it has no weight
    wrong, weights = times.copy(), np.ones(N)
    late = int(np.flatnonzero(LABELS)[np.argmin(ranks[LABELS])])
    wrong[late], weights[late] = times.min() - 1.0, 0.0
    assert remark(time=wrong) == ""
    assert remark(time=wrong, sample_weight=weights) != ""
    # nobody is behind
    assert remark(X=np.ones((N, 1))) == ""


@pytest.mark.parametrize("kind", [so.GroupMCP, so.GroupSCAD])
def test_stationarity_of_groups_is_the_slope_where_the_penalty_is_flat(kind):
    """Beyond its concavity a step of any length says the same; no slope of the others reaches their threshold."""
    truth = np.array([5.0, -4.0, 3.0, 0.0, 0.0, 0.0])
    problem = so.Problem(so.LeastSquares(X, X @ truth), kind(0.2, 3))
    assert problem.loss.curvatures().max() > 0.5  # 1 / (gamma - 1) of SCAD is less
    w = truth + np.array([1e-3, 2e-3, -1e-3, 0.0, 0.0, 0.0])
    slope = problem.loss.gradient(w)
    assert np.linalg.norm(slope[3:]) < 0.2
    assert so.certify(problem, w).stationarity == pytest.approx(np.abs(slope[:3]).max())
    # a group of half the height that is flat is pulled inwards as well
    assert so.certify(problem, 0.1 * truth).stationarity > 0.2
    assert so.certify(problem, truth).stationarity <= 1e-12


def test_stationarity_is_the_distance_to_the_subdifferential():
    problem = problem_of("least squares", "l1")
    slope = problem.loss.gradient(np.zeros(P))
    assert so.certify(problem, np.zeros(P)).stationarity == pytest.approx(np.abs(slope).max() - 0.1)
    w = np.full(P, 0.5)
    assert so.certify(problem, w).stationarity == pytest.approx(np.abs(problem.loss.gradient(w) + 0.1).max())


@pytest.mark.parametrize("term", ["l1", "simplex"])
def test_a_true_certificate_verifies(term):
    problem = problem_of("least squares", term)
    so.solve(problem, tol=1e-9).certificate.verify(problem)
    so.certify(problem, feasible(problem, np.full(P, 0.3))).verify(problem)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"objective": 0.0}, "the objective at w is"),
        ({"lower_bound": 10.0}, "the data proves the bound .*, not 10"),
        ({"proof": "stationarity"}, "claims a proof by stationarity, the data gives one by duality"),
        ({"w": np.ones(P)}, "the objective at w is"),
        ({"objective": np.nan}, "the objective at w is .*, not nan"),
        ({"lower_bound": np.nan}, "the data proves the bound .*, not nan"),
        ({"violation": np.nan}, "the violation at w is 0, not nan"),
        ({"reference": 1e9}, "the gap is relative to .*, not to 1000000000"),
        ({"reference": np.nan}, "the gap is relative to .*, not to nan"),
        ({"complementarity": 0.0}, "the complementarity at w is nan, not 0"),
        ({"w": np.full(P, np.nan)}, "does not fit the problem: w contains NaN"),
        ({"w": None}, "does not fit the problem: w has shape"),
        ({"objective": "small"}, "does not fit the problem"),
    ],
    ids=lambda part: str(next(iter(part))) if isinstance(part, dict) else "",
)
def test_a_false_claim_is_caught(claim, message):
    problem = problem_of("least squares", "l1")
    certificate = replace(so.solve(problem).certificate, **claim)
    with pytest.raises(so.CertificateError, match=message):
        certificate.verify(problem)


@pytest.mark.parametrize(
    ("penalty", "constraint", "name"),
    [
        (so.MCP(0.1), None, "stationarity"),
        (so.Zero(), so.LinearConstraint(np.ones((1, P)), 1.0, 1.0), "dual_residual"),
        (so.Zero(), so.NonlinearConstraint(lambda w: w @ w, -np.inf, 0.1, lambda w: 2 * w), "complementarity"),
    ],
    ids=["stationarity", "dual residual", "complementarity"],
)
def test_a_false_residual_is_caught(penalty, constraint, name):
    """Where there is no bound the residual is what is claimed, and multipliers of NaN must not hide it."""
    problem = so.Problem(LOSSES["least squares"], penalty, constraint)
    given = so.solve(problem, tol=1e-8).duals
    certificate = so.certify(problem, np.full(P, 0.3), duals=None if constraint is None else given)
    certificate.verify(problem)
    forged = [replace(certificate, **{name: getattr(certificate, name) / 2 - 1e-3})]
    if constraint is not None:
        nothing = replace(given, rows=np.full(1, np.nan))
        forged.append(replace(certificate, duals=nothing, stationarity=0.0, **{name: 0.0}))
    for wrong in forged:
        with pytest.raises(so.CertificateError):
            wrong.verify(problem)


def test_a_false_violation_is_caught():
    problem = problem_of("least squares", "box")
    certificate = replace(so.certify(problem, np.full(P, 2.0)), violation=0.0)
    with pytest.raises(so.CertificateError, match="the violation at w is 1.5, not 0"):
        certificate.verify(problem)


def test_a_certificate_does_not_hold_for_another_problem():
    certificate = so.solve(problem_of("least squares", "l1")).certificate
    with pytest.raises(so.CertificateError):
        certificate.verify(so.Problem(LOSSES["least squares"], so.L1(0.2)))


def test_a_bound_brought_by_a_solver_is_taken_where_it_is_better():
    problem = problem_of("least squares", "l1")
    w = np.full(P, 0.5)
    plain = so.certify(problem, w)
    assert so.certify(problem, w, lower_bound=plain.lower_bound - 1.0).proof == "duality"
    brought = so.certify(problem, w, lower_bound=plain.lower_bound + 1e-3)
    assert (brought.proof, brought.lower_bound) == ("bound", plain.lower_bound + 1e-3)
    with pytest.raises(so.CertificateError, match="brought by a solver without its proof"):
        brought.verify(problem)


def test_certify_refuses_a_point_of_another_size():
    with pytest.raises(ValueError, match=r"w has shape \(3,\), but the problem has 6 features"):
        so.certify(problem_of("least squares", "l1"), np.zeros(3))


def test_a_point_outside_has_an_infinite_objective_or_a_violation():
    w = np.full(P, -1.0)
    assert so.certify(problem_of("least squares", "nonnegative"), w).objective == np.inf
    assert so.certify(problem_of("least squares", "box"), w).violation == pytest.approx(0.7)
    assert so.certify(problem_of("least squares", "simplex"), w).violation > 0.0


def test_unpenalised_columns_are_projected_out():
    """The dual must be orthogonal to them; a plain scaling would give the bound of nothing."""
    problem = problem_of("logistic", "weighted")
    w = so.solve(problem, tol=1e-10).w
    assert so.certify(problem, w + 1e-4).gap < 1e-3


@pytest.mark.parametrize("alpha", [1e-300, 1e-18, 1e-15, 1e-13])
def test_a_strength_below_the_rounding_of_the_slopes_is_proven_all_the_same(alpha):
    """Scaled into the range of slopes, the residual is nothing; without the penalty it is orthogonal to X."""
    for loss in (so.LeastSquares(X, Y), so.LeastSquares(S, Y + 3.0, intercept=True)):
        problem = so.Problem(loss, so.L1(alpha))
        solution = so.solve(problem)
        assert solution.status is so.Status.CONVERGED
        design = np.column_stack([loss.X.to_array(), np.ones(N)]) if loss.intercept else X
        target = Y + 3.0 if loss.intercept else Y
        least = float(np.linalg.lstsq(design, target)[1][0]) / (2 * N)
        assert solution.certificate.lower_bound <= least * (1 + 1e-12)
        assert solution.certificate.objective == pytest.approx(least, rel=1e-9)
        solution.certificate.verify(problem)


@pytest.mark.parametrize("alpha", [1e-300, 1e-18, 1e-17])
@pytest.mark.parametrize("kind", [so.Logistic, so.Huber, so.Quantile, so.SquaredHinge, so.Poisson])
def test_columns_that_explain_nothing_leave_slopes_of_rounding_and_a_proof(kind, alpha):
    """A balanced design: beside the intercept every column is orthogonal to the targets, as constant ones are, too."""
    signs = np.array(list(np.ndindex(2, 2, 2))) * 2.0 - 1.0
    design = np.column_stack([np.vstack([signs, signs]), np.ones(16)]) / 3.0
    target = np.repeat([-1.0, 1.0] if kind in (so.Logistic, so.SquaredHinge) else [0.3, 1.7], 8)
    problem = so.Problem(kind(design, target, intercept=True), so.L1(alpha))
    solution = so.solve(problem, tol=1e-6)
    assert solution.status is so.Status.CONVERGED
    solution.require(gap=1e-6)
    solution.certificate.verify(problem)
    at_zero = so.Problem(problem.loss, so.L1(1.0))
    assert solution.certificate.lower_bound <= at_zero.objective(np.zeros(4)) * (1 + 1e-12)


def test_the_summary_says_what_is_proven():
    assert "by duality" in so.solve(problem_of("least squares", "l1")).certificate.summary
    assert "no bound" in so.solve(so.Problem(LOSSES["least squares"], so.L0(0.1))).certificate.summary


@pytest.mark.parametrize("size", [12, 30])
def test_no_bound_lies_above_a_point_where_coefficients_are_free_and_classes_are_told_apart(size):
    """Slopes of free coefficients are zero to rounding only, and coefficients are large there."""
    rng = np.random.default_rng(size)
    loss = so.Multinomial(rng.standard_normal((size, size)) + 1e3, np.arange(size) % 3)
    prices = np.zeros((size, 3))
    prices[0] = 1.0
    solution = so.solve(so.Problem(loss, so.Weighted(so.L1(5.0), prices.ravel())), max_iter=20)
    assert solution.status is so.Status.CONVERGED
    assert 0.0 <= solution.certificate.gap <= 1e-12


@pytest.mark.parametrize(("loss", "seed"), [(so.LeastSquares, 9), (so.Huber, 4), (so.Logistic, 14)])
def test_no_bound_lies_above_a_point_where_free_columns_are_of_all_sizes(loss, seed):
    y = np.where(np.arange(12) % 2, 1.0, -1.0)
    rng = np.random.default_rng([0, seed])
    X = (rng.standard_normal((12, 12)) + 1e3) * 10.0 ** rng.integers(-3, 4, 12)
    here = loss(X, y)
    penalty = so.Weighted(so.L1(0.01 * so.alpha_max(here)), (rng.random(12) < 0.3).astype(float))
    certificate = so.solve(so.Problem(here, penalty), max_iter=200).certificate
    assert certificate.gap >= -1e-14 * certificate.reference
