"""What holds for drawn problems, odd shapes and ties among them."""

import cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn
from scipy import sparse

import sparseopt as so
from sparseopt.testing import check_constraint, check_penalty

STRENGTHS = st.floats(0.01, 3.0)
PENALTIES = st.recursive(
    st.one_of(
        st.builds(so.L1, STRENGTHS),
        st.builds(so.L0, STRENGTHS),
        st.builds(so.MCP, STRENGTHS, st.floats(0.5, 10.0)),
        st.builds(so.SCAD, STRENGTHS, st.floats(2.1, 10.0)),
        st.builds(cases.LogSum, STRENGTHS),
    ),
    lambda inner: st.one_of(
        st.builds(so.Ridged, inner, st.floats(0.0, 2.0)),
        st.builds(so.Weighted, inner, st.just([0.0, 0.7])),
        st.builds(so.Nonnegative, inner.filter(lambda penalty: penalty.is_convex or penalty.is_symmetric)),
    ),
    max_leaves=2,
)


@settings(max_examples=20)
@given(penalty=PENALTIES, step=st.floats(0.05, 20.0))
def test_penalties_of_penalties_keep_the_laws(penalty, step):
    check_penalty(penalty, steps=[step])


@given(data=st.data(), p=st.integers(1, 6))
def test_sets_of_any_size_keep_the_laws(data, p):
    bounds = drawn.arrays(float, p, elements=st.floats(-2, 2))
    lower, upper = data.draw(bounds), data.draw(bounds)
    sets = [
        so.Cardinality(data.draw(st.integers(0, p))),
        so.Box(np.minimum(lower, upper), np.maximum(lower, upper)),
        so.Simplex(data.draw(st.floats(0.01, 100.0))),
        so.L1Ball(data.draw(st.floats(0.01, 100.0))),
    ]
    check_constraint(data.draw(st.sampled_from(sets)), p)


@st.composite
def regressions(draw, storages=(np.asarray, sparse.csc_array)):
    """Small whole numbers: ties, empty columns, repeated columns and perfect fits are common."""
    n, p = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    X = draw(drawn.arrays(np.int8, (n, p), elements=st.integers(-3, 3)))
    y = draw(drawn.arrays(np.int8, n, elements=st.integers(-3, 3)))
    return draw(st.sampled_from(storages))(X), y, draw(st.booleans())


@pytest.mark.parametrize(
    "solver", [so.CoordinateDescent(), so.ProximalGradient()], ids=lambda solver: type(solver).__name__
)
@pytest.mark.parametrize(
    ("loss", "storages"), [(so.LeastSquares, (np.asarray, sparse.csc_array)), (so.Huber, (np.asarray,))]
)
@given(data=st.data(), alpha=st.sampled_from([0.01, 0.1, 0.5]))
def test_any_lasso_is_certified(loss, storages, solver, data, alpha):
    X, y, intercept = data.draw(regressions(storages))
    solution = so.solve(so.Problem(loss(X, y, intercept=intercept), so.L1(alpha)), solver, max_iter=100_000)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert -1e-12 <= solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("loss", [so.Huber, so.Quantile])
@given(data=st.data(), alpha=st.sampled_from([0.01, 0.1, 0.5]))
def test_proximal_newton_certifies_any_data(loss, data, alpha):
    X, y, intercept = data.draw(regressions((np.asarray, sparse.csc_array)))
    solution = so.solve(so.Problem(loss(X, y, intercept=intercept), so.L1(alpha)), so.ProxNewton(), max_iter=100_000)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert -1e-12 <= solution.certificate.relative_gap <= 1e-6


@given(problem=regressions(), alpha=st.sampled_from([0.01, 0.1, 0.5]))
def test_any_logistic_regression_is_certified(problem, alpha):
    X, y, intercept = problem
    labels = y > 0
    if intercept and np.unique(labels).size < 2:
        labels[0] = not labels[0]
        intercept = labels.size > 1
    solution = so.solve(so.Problem(so.Logistic(X, labels, intercept=intercept), so.L1(alpha)), max_iter=100_000)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("kind", [so.Poisson, so.Gamma, so.SquaredHinge, so.Quantile])
@given(problem=regressions(), alpha=st.sampled_from([0.05, 0.5]), data=st.data())
def test_any_generalised_linear_model_is_certified(kind, problem, alpha, data):
    X, y, intercept = problem
    targets = {so.Poisson: np.maximum(y, 0), so.Gamma: 2.0**y, so.SquaredHinge: y > 0, so.Quantile: y}[kind]
    if kind is so.Poisson and intercept:
        targets[0] += 1
    offset = data.draw(drawn.arrays(float, y.size, elements=st.sampled_from([-1.0, 0.0, 0.5])))
    loss = kind(X, targets, intercept=intercept, offset=offset)
    solution = so.solve(so.Problem(loss, so.L1(alpha)), so.ProximalGradient(), max_iter=100_000)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert -1e-9 <= solution.certificate.relative_gap <= 1e-6


@given(problem=regressions([np.asarray]), penalty=st.sampled_from([so.L0(0.05), so.MCP(0.1)]))
def test_any_problem_that_is_not_convex_ends_stationary(problem, penalty):
    X, y, intercept = problem
    loss = so.LeastSquares(X, y, intercept=intercept)
    found = so.Problem(loss, penalty)
    solution = so.solve(found)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.objective <= found.objective(np.zeros(loss.n_features))
    assert solution.certificate.stationarity <= 2e-6 * np.abs(loss.gradient(np.zeros(loss.n_features))).max()


@pytest.mark.parametrize("term", [so.L1(0.1), so.Simplex()], ids=repr)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_and_columns_does_not_matter(term, seed):
    random = np.random.default_rng(seed)
    rows, columns = random.permutation(cases.N), random.permutation(cases.P)

    def solved(X, y):
        loss = so.LeastSquares(X, y)
        problem = so.Problem(loss, term) if isinstance(term, so.Penalty) else so.Problem(loss, constraint=term)
        return so.solve(problem, tol=1e-12)

    # two points with this gap in a problem of this modulus are no further apart
    modulus = np.linalg.eigvalsh(cases.X.T @ cases.X / cases.N)[0]
    plain = solved(cases.X, cases.Y)
    moved = solved(cases.X[rows][:, columns], cases.Y[rows])
    np.testing.assert_allclose(
        moved.w, plain.w[columns], atol=2 * np.sqrt(2e-12 * plain.certificate.objective / modulus)
    )


@pytest.mark.parametrize(
    ("loss", "solver"),
    [
        (so.LeastSquares, so.CoordinateDescent()),
        (so.LeastSquares, so.ProximalGradient()),
        (so.Huber, so.CoordinateDescent()),
        (so.Huber, so.ProximalGradient()),
        (so.Huber, so.ProxNewton()),
    ],
)
@given(x=st.integers(-20, 20), y=st.integers(-20, 20))
def test_units_are_free(loss, solver, x, y):
    """In other units, by powers of two, every number of the run scales exactly: a constant with a unit would show."""

    def solved(a, b):
        options = {"delta": 0.5 * b} if loss is so.Huber else {}
        return so.solve(
            so.Problem(loss(a * cases.X, b * cases.Y, intercept=True, **options), so.L1(0.05 * a * b)), solver, tol=1e-9
        )

    plain, scaled = solved(1.0, 1.0), solved(2.0**x, 2.0**y)
    assert scaled.iterations == plain.iterations
    np.testing.assert_array_equal(scaled.w, plain.w * 2.0 ** (y - x))
    assert scaled.certificate.relative_gap == pytest.approx(plain.certificate.relative_gap, rel=1e-6)


@given(k=st.integers(0, cases.P), seed=st.integers(0, 1000))
def test_a_larger_subset_is_never_worse_than_its_start(k, seed):
    random = np.random.default_rng(seed)
    problem = so.Problem(so.LeastSquares(cases.X, cases.Y), constraint=so.Cardinality(k))
    w0 = problem.constraint.project(random.standard_normal(cases.P))
    solution = so.solve(problem, w0=w0)
    assert solution.certificate.violation == 0.0
    assert solution.certificate.objective <= problem.objective(w0)
