"""`solve` owns the loop: limits, statuses, callbacks, what is shown, and what is left untouched."""

import itertools
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(3)
X = RNG.standard_normal((40, 10))
Y = X[:, 0] - 0.5 * X[:, 4] + 0.1 * RNG.standard_normal(40)
LASSO = so.Problem(so.LeastSquares(X, Y), so.L1(0.1))
# Columns that differ by a millionth: plain gradient steps take very long.
HARD = so.Problem(so.LeastSquares(X[:, :2] @ [[1, 1], [0, 1e-6]], Y), so.L1(1e-9))
SLOW = so.ProximalGradient(accelerated=False)


@pytest.mark.parametrize(
    ("problem", "solver"),
    [
        (LASSO, so.GramDescent),
        (so.Problem(so.LeastSquares(X.astype(np.float32), Y), so.L1(0.1)), so.WorkingSet),
        (so.Problem(LASSO.loss, so.MCP(0.1)), so.WorkingSet),
        (so.Problem(LASSO.loss, so.L1(0.1), so.Box(0, 1)), so.GramDescent),
        (so.Problem(so.LeastSquares(np.ones((5, 150)), np.ones(5)), so.L1(0.1)), so.GramDescent),
        (so.Problem(so.LeastSquares(np.ones((5, 201)), np.ones(5)), so.L1(0.1)), so.CoordinateDescent),
        (so.Problem(so.LeastSquares(np.ones((5, 101)), np.ones(5)), so.MCP(0.1)), so.WorkingSet),
        (so.Problem(so.Huber(X, Y), so.L1(0.1)), so.ProxNewton),
        (so.Problem(LASSO.loss, constraint=so.Simplex()), so.TiedNewton),
        (so.Problem(LASSO.loss, constraint=so.L1Ball()), so.TiedNewton),
        (so.Problem(LASSO.loss, constraint=so.Cardinality(2)), so.LocalSearch),
        (so.Problem(LASSO.loss, so.L0(0.1)), so.LocalSearch),
        (so.Problem(so.Logistic(X, np.sign(Y)), constraint=so.Cardinality(2)), so.LocalSearch),
        (so.Problem(so.Cox(X, np.abs(Y) + 0.1, Y > 0), constraint=so.Cardinality(2)), so.HardThresholding),
        (so.Problem(LASSO.loss, constraint=so.LinearConstraint(np.ones((1, 10)), 1, 1)), so.ActiveSet),
        (
            so.Problem(
                LASSO.loss, so.L1(0.1), so.Intersection(so.Box(0, 1), so.LinearConstraint(np.ones((1, 10)), 1, 1))
            ),
            so.ActiveSet,
        ),
        (
            so.Problem(
                so.Quadratic(np.eye(150), np.ones(150)), constraint=so.LinearConstraint(np.ones((1, 150)), 1, 1)
            ),
            so.InteriorPoint,
        ),
        (so.Problem(so.Quadratic(np.eye(10), np.ones(10)), so.L1(0.1)), so.CoordinateDescent),
        (so.Problem(so.Quadratic(np.ones((10, 10)), np.ones(10)), so.L1(0.1)), so.ActiveSet),
        (so.Problem(so.Quadratic(np.eye(150), np.ones(150))), so.InteriorPoint),
    ],
)
def test_each_kind_of_problem_has_a_solver_that_takes_it(problem, solver):
    chosen = so.default_solver(problem)
    assert type(chosen) is solver
    assert chosen.rejects(problem) is None


@pytest.mark.parametrize(
    ("solver", "problem", "reason"),
    [
        (
            so.CoordinateDescent(),
            so.Problem(LASSO.loss, constraint=so.Simplex()),
            "CoordinateDescent.*ties coordinates together",
        ),
        (
            so.ProximalGradient(),
            so.Problem(LASSO.loss, so.L1(0.1), so.Simplex()),
            "ProximalGradient.*no formula is known for the prox",
        ),
        (
            so.ProximalGradient(),
            so.Problem(LASSO.loss, so.L0(0.1), so.Box(0, 1)),
            "ProximalGradient.*no formula is known for the prox",
        ),
        (so.HardThresholding(), LASSO, "HardThresholding.*needs a Cardinality constraint"),
        (
            so.HardThresholding(),
            so.Problem(LASSO.loss, so.L1(0.1), so.Cardinality(2)),
            "HardThresholding.*no penalty but a ridge",
        ),
        (so.OperatorSplitting(), so.Problem(LASSO.loss, so.L0(0.1)), "OperatorSplitting"),
    ],
)
def test_an_unsupported_problem_is_refused_in_words(solver, problem, reason):
    with pytest.raises(so.UnsupportedProblem, match=reason):
        so.solve(problem, solver)


def test_a_converged_run_says_so():
    solution = so.solve(LASSO, tol=1e-8)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.relative_gap <= 1e-8
    assert solution.require(gap=1e-8) is solution
    assert solution.support.tolist() == [0, 4]
    assert solution.seconds > 0
    assert solution.iterations >= 1
    assert repr(solution).startswith(
        f"Solution(CONVERGED after {solution.iterations} iterations, support 2 of 10, relative gap "
    )


class Boastful(so.InteriorPoint):
    """Says that it has converged wherever it stands."""

    def step(self, problem, state, tol, max_iterations):
        state.w, state.status = np.array([0.5, 0.5 + self.regularisation]), so.Status.CONVERGED
        state.duals = so.Duals(np.array([-0.5]), np.zeros(2))
        return state


@pytest.mark.parametrize(("off", "status"), [(1e-9, so.Status.CONVERGED), (1e-5, so.Status.STALLED)])
def test_a_solver_that_converged_is_taken_at_its_word_only_where_the_data_bears_it_out(off, status):
    """A solver adds up residuals in an order of its own, which beside large multipliers is not that of the certificate."""
    rows = so.LinearConstraint(np.ones((1, 2)), 1.0, 1.0)
    problem = so.Problem(so.Quadratic(np.eye(2), np.zeros(2)), constraint=rows)
    solution = so.solve(problem, Boastful(regularisation=off), tol=1e-6)
    assert solution.status is status
    assert solution.certificate.violation == pytest.approx(off)


@pytest.mark.parametrize("limit", [1, 7, 150])
@pytest.mark.parametrize(
    "solver", [SLOW, so.CoordinateDescent(newton=False), so.CoordinateDescent(shuffled=True, newton=False)], ids=repr
)
def test_the_iteration_limit_is_kept_and_is_no_error(solver, limit):
    solution = so.solve(HARD, solver, tol=0.0, max_iter=limit)
    assert solution.status is so.Status.ITERATION_LIMIT
    assert solution.iterations == limit
    assert np.all(np.isfinite(solution.w))
    with pytest.raises(so.NotCertified, match="The iteration limit came first; raise max_iter or loosen tol"):
        solution.require(gap=1e-14)


def test_the_time_limit_is_kept_and_is_no_error():
    so.solve(HARD, SLOW, max_iter=1)
    solution = so.solve(HARD, SLOW, tol=0.0, max_iter=10**9, time_limit=0.3)
    assert solution.status is so.Status.TIME_LIMIT
    assert solution.seconds >= 0.3
    assert so.solve(HARD, SLOW, tol=0.0, time_limit=0.0).status is so.Status.TIME_LIMIT


def test_a_tolerance_beyond_the_precision_ends_all_the_same():
    """float32 can not reach a gap of 1e-12; the run says that it is stuck instead of spinning."""
    problem = so.Problem(so.LeastSquares(X.astype(np.float32), Y), so.L1(0.01))
    solution = so.solve(problem, tol=1e-12, max_iter=10**6)
    assert solution.status is so.Status.STALLED
    assert solution.certificate.relative_gap < 1e-5


def test_the_callback_sees_each_chunk_and_can_stop():
    seen = []

    def callback(iterations, w):
        seen.append((iterations, w.copy()))
        with pytest.raises(ValueError, match="read-only"):
            w[0] = 1.0
        return len(seen) == 3

    solution = so.solve(HARD, SLOW, tol=0.0, max_iter=10**9, callback=callback)
    assert solution.status is so.Status.STOPPED
    assert len(seen) == 3
    assert [iterations for iterations, _ in seen] == sorted({iterations for iterations, _ in seen})
    assert solution.iterations == seen[-1][0]
    assert solution.w.tobytes() == seen[-1][1].tobytes()


def test_a_callback_that_returns_anything_else_goes_on():
    assert so.solve(LASSO, callback=lambda iterations, w: iterations).status is so.Status.CONVERGED


def test_an_error_in_the_callback_comes_through():
    def callback(iterations, w):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        so.solve(LASSO, callback=callback)


def test_the_trace_records_each_chunk():
    solution = so.solve(HARD, SLOW, tol=0.0, max_iter=3000, trace=True)
    assert solution.trace[-1].iterations == solution.iterations == 3000
    assert solution.trace[-1].objective == solution.certificate.objective
    assert solution.trace[-1].gap == solution.certificate.relative_gap
    assert [point.seconds for point in solution.trace] == sorted(point.seconds for point in solution.trace)
    objectives = [point.objective for point in solution.trace]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(objectives))
    assert so.solve(LASSO).trace == ()


def test_trace_progress_and_callback_change_nothing(capsys):
    plain = so.solve(LASSO)
    watched = so.solve(LASSO, trace=True, progress=True, callback=lambda iterations, w: None)
    assert watched.w.tobytes() == plain.w.tobytes()
    assert watched.iterations == plain.iterations
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("\rGramDescent: ")
    assert captured.err.endswith("\n")
    assert "support 2" in captured.err


def test_ctrl_c_stops_within_half_a_second(start):
    process = start(
        "import signal, time, numpy as np, sparseopt as so\n"
        # a shell starts jobs in the background with the signal ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "X = np.random.default_rng(0).standard_normal((300, 400))\n"
        "problem = so.Problem(so.LeastSquares(X @ X.T @ X, X[:, 0]), so.L1(1e-9))\n"
        "solver = so.ProximalGradient(accelerated=False)\n"
        "so.solve(problem, solver, max_iter=1)\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    so.solve(problem, solver, tol=0.0, max_iter=10**9)\n"
        "except KeyboardInterrupt:\n"
        "    print(time.time())\n"
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    sent = time.time()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert err == ""
    assert float(out) - sent < 0.5


@given(data=st.data())
def test_what_is_lent_stays_as_it_is(data):
    """Order, strides, type and flags of everything lent are free, and none of it is written."""
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    kind = data.draw(st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.int8, np.bool_]))
    matrix = (4 * random.standard_normal((12, 5))).astype(kind)
    lend = data.draw(
        st.sampled_from(
            [
                np.ascontiguousarray,
                np.asfortranarray,
                lambda A: np.repeat(np.repeat(A, 2, 0), 3, 1)[::2, ::3],
                lambda A: A[::-1, ::-1],
                sparse.csc_array,
                sparse.csr_matrix,
                sparse.coo_array,
            ]
        )
        if kind is not np.float16
        else st.sampled_from([np.ascontiguousarray, np.asfortranarray])
    )
    lent, y, weights, w0 = (
        lend(matrix),
        random.standard_normal(24)[::2],
        random.uniform(0.5, 1.0, 12),
        np.zeros(10)[::2],
    )
    arrays = (
        [part for name in ("data", "indices", "indptr", "coords") for part in np.atleast_1d(getattr(lent, name, ()))]
        if sparse.issparse(lent)
        else [lent]
    )
    arrays += [y, weights, w0]
    before = [np.array(array).tobytes() for array in arrays]
    for array in arrays:
        if isinstance(array, np.ndarray) and array.ndim and array.base is None:
            array.flags.writeable = False
    intercept = data.draw(st.booleans())
    solution = so.solve(
        so.Problem(so.LeastSquares(lent, y, sample_weight=weights, intercept=intercept), so.L1(0.1)), w0=w0
    )
    assert [np.array(array).tobytes() for array in arrays] == before
    assert solution.w.dtype == (np.float32 if kind in (np.float32, np.float16) else np.float64)
    # the same problem in canonical form, in float64
    dense = np.asarray(lent.todense() if sparse.issparse(lent) else lent, dtype=np.float64)
    same = so.solve(
        so.Problem(so.LeastSquares(dense, y, sample_weight=weights, intercept=intercept), so.L1(0.1)), tol=1e-9
    )
    slack = (2e-6 if solution.w.dtype == np.float64 else 1e-5) * (1 + same.certificate.objective)
    assert solution.certificate.objective <= same.certificate.objective + slack


def test_global_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002, the state that must not move
    state, errors = np.random.get_state()[1].tobytes(), np.geterr()  # noqa: NPY002
    for problem in (
        LASSO,
        so.Problem(LASSO.loss, constraint=so.Simplex()),
        so.Problem(LASSO.loss, constraint=so.Cardinality(2)),
    ):
        so.solve(problem)
    so.solve(LASSO, so.CoordinateDescent(shuffled=True))
    assert np.random.get_state()[1].tobytes() == state  # noqa: NPY002
    assert np.geterr() == errors


def test_threads_that_share_a_loss_give_the_bytes_of_one_thread():
    """A loss keeps curvatures and the last fitted values for all who use it."""
    for loss in (so.LeastSquares(X, Y, intercept=True), so.Logistic(X, Y > 0, intercept=True)):
        problems = [so.Problem(loss, so.L1(alpha)) for alpha in np.geomspace(0.001, 0.2, 12)]
        alone = [so.solve(problem, tol=1e-9) for problem in problems]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda problem: so.solve(problem, tol=1e-9), problems * 5))
        for one, other in zip(alone * 5, together, strict=True):
            assert one.w.tobytes() == other.w.tobytes()
            assert one.certificate.lower_bound == other.certificate.lower_bound


def test_the_seed_decides_the_order_and_nothing_else():
    loss = so.LeastSquares(X @ RNG.standard_normal((10, 10)), Y)
    first, again, other = (
        so.solve(so.Problem(loss, so.L1(0.01)), so.CoordinateDescent(shuffled=True, seed=seed), tol=1e-10)
        for seed in (1, 1, 2)
    )
    assert first.w.tobytes() == again.w.tobytes()
    assert first.w.tobytes() != other.w.tobytes()
    assert other.certificate.relative_gap <= 1e-10


def test_a_start_at_the_solution_ends_at_once():
    best = so.solve(LASSO, tol=1e-10)
    again = so.solve(LASSO, w0=best.w, tol=1e-8)
    assert again.status is so.Status.CONVERGED
    assert again.iterations <= 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"problem": X}, TypeError, "problem must be a Problem, got ndarray; for example Problem"),
        ({"solver": so.CoordinateDescent}, TypeError, "solver must be a Solver instance"),
        ({"solver": "fista"}, TypeError, "solver must be a Solver instance, got 'fista'"),
        ({"tol": -1.0}, ValueError, "tol must be at least 0"),
        ({"tol": np.nan}, ValueError, "tol must be finite"),
        ({"tol": "small"}, TypeError, "tol must be a real number"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be a whole number"),
        ({"time_limit": -1}, ValueError, "time_limit must be at least 0"),
        ({"w0": np.zeros(3)}, ValueError, r"w0 has shape \(3,\), but the problem has 10 features"),
        ({"w0": np.zeros((10, 1))}, ValueError, r"w0 has shape \(10, 1\)"),
        ({"w0": np.full(10, np.nan)}, ValueError, "w0 contains NaN or infinity"),
        ({"w0": np.full(10, 1j)}, ValueError, "w0 is complex"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        so.solve(**{"problem": LASSO} | arguments)


def test_column_names_survive_into_the_solution():
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"gene {j}" for j in range(10)])
    solution = so.solve(so.Problem(so.LeastSquares(frame, pd.Series(Y)), so.L1(0.1)))
    assert solution.support_names == ("gene 0", "gene 4")
    assert so.solve(LASSO).support_names == ("0", "4")


def test_problems_are_shown_in_a_few_lines_whatever_their_size():
    wide = np.ones((300, 400))
    rows = so.LinearConstraint(wide[:2, :400], 0.0, 1.0)
    problem = so.Problem(so.LeastSquares(sparse.csc_array(wide), wide[:, 0]), so.Weighted(so.L1(0.5), wide[0]), rows)
    assert "y=<300 float64>" in repr(problem)
    assert "penalty=Weighted(penalty=L1(alpha=0.5), weights=<400 float64>)" in repr(problem)
    assert "constraint=LinearConstraint(A=<2 x 400 float64>, lower=array([0., 0.]), upper=array([1., 1.]))" in repr(
        problem
    )
    assert len(repr(problem)) < 600


def test_infeasible_and_unbounded_are_statuses_with_a_ray():
    rows = so.LinearConstraint(np.ones((2, 10)), [2.0, -np.inf], [np.inf, 1.0])
    infeasible = so.solve(so.Problem(LASSO.loss, constraint=rows))
    assert infeasible.status is so.Status.INFEASIBLE
    assert infeasible.certificate.proof == "infeasible ray"
    unbounded = so.solve(
        so.Problem(
            so.Quadratic(np.zeros((2, 2)), np.array([-1.0, 0.0])),
            constraint=so.LinearConstraint(np.eye(2), 0.0, np.inf),
        )
    )
    assert unbounded.status is so.Status.UNBOUNDED
    assert unbounded.certificate.proof == "unbounded ray"


@pytest.mark.parametrize("penalty", [so.Zero(), so.L1(0.1), so.Nonnegative(so.Zero())], ids=repr)
def test_a_quadratic_without_rows_that_falls_for_ever_is_unbounded_by_a_ray(penalty):
    problem = so.Problem(so.Quadratic(np.diag([1.0, 0.0]), np.array([-1.0, -1.0])), penalty)
    solution = so.solve(problem)
    assert solution.status is so.Status.UNBOUNDED
    assert solution.certificate.proof == "unbounded ray"
    solution.certificate.verify(problem)
    with pytest.raises(so.CertificateError, match="unbounded ray"):
        solution.certificate.verify(so.Problem(so.Quadratic(np.eye(2), np.array([-1.0, -1.0])), penalty))


@pytest.mark.parametrize("solver", [None, so.CoordinateDescent(), so.InteriorPoint()], ids=repr)
def test_an_ill_conditioned_quadratic_without_a_penalty_has_a_bound(solver):
    """No point has a slope of exactly zero there; what is left of it costs little where there is curvature."""
    columns = np.random.default_rng(5).standard_normal((15, 5))
    columns[:, 0] = columns[:, -1] + 1e-3 * columns[:, 0]
    Q, c = columns.T @ columns / 5, np.arange(1.0, 6.0)
    problem = so.Problem(so.Quadratic(Q, c))
    solution = so.solve(problem, solver)
    assert solution.status is so.Status.CONVERGED
    least = -c @ np.linalg.solve(Q, c) / 2
    assert solution.certificate.lower_bound <= least * (1 - 1e-9)
    assert solution.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("kind", [so.LeastSquares, so.Huber], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("size", [1.0, 1e6])
def test_a_constant_column_beside_an_intercept_stays_where_it_does_no_harm(kind, storage, size):
    """Nothing holds it, and centring leaves rounding of it: no step divides by that."""
    random = np.random.default_rng(0)
    X = random.standard_normal((50, 5))
    X[:, 2] = size
    y = X[:, 0] + random.standard_normal(50)
    loss, without = (kind(storage(A), y, intercept=True) for A in (X, X * [1.0, 1.0, 0.0, 1.0, 1.0]))
    for penalty in (so.Zero(), so.Weighted(so.L1(0.1), [1.0, 1.0, 0.0, 1.0, 1.0])):
        best = so.solve(so.Problem(without, penalty), tol=1e-8).certificate.objective
        for w0 in (None, np.ones(5)):
            solution = so.solve(so.Problem(loss, penalty), w0=w0)
            assert solution.status is so.Status.CONVERGED
            assert abs(solution.w[2]) <= 1.0 + 1e3 / size
            assert solution.certificate.objective == pytest.approx(best, rel=1e-5)


@dataclass(frozen=True)
class Unsure(so.Solver):
    """Reaches the solution of LASSO in its ninth iteration, and does not say that it is one."""

    def rejects(self, problem):
        return None

    def init(self, problem, w):
        return so.State(w=w)

    def step(self, problem, state, tol, max_iterations):
        if state.iterations:
            state.w = so.solve(LASSO, tol=1e-12).w
        state.iterations += 1 if state.iterations else 8
        state.residual = 1.0
        return state


@pytest.mark.parametrize(
    "limits",
    [{"max_iter": 9}, {"callback": lambda iterations, w: iterations == 9}],
    ids=lambda limits: next(iter(limits)),
)
def test_a_limit_that_comes_where_the_gap_is_met_is_none(limits):
    """Between two looks a point may become good enough; a callback that asks to stop is told so."""
    solution = so.solve(LASSO, Unsure(), **limits)
    expected = so.Status.STOPPED if "callback" in limits else so.Status.CONVERGED
    assert (solution.status, solution.iterations) == (expected, 9)
    assert solution.certificate.relative_gap <= 1e-6
