"""Nodes in lanes: the same search whatever the number of threads, and all that a search promises."""

import _thread
import gc
import threading
import time

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers import branch_and_bound
from sparseopt.solvers.trees import lanes
from sparseopt.testing import poisoned

KINDS = ("least squares", "box", "price", "logistic", "groups", "wide")


def drawn(seed, kind):
    """A problem that takes some dozens of nodes."""
    random = np.random.default_rng(seed)
    # of more than 1500 features the Gram matrix is made of those in use, for each lane
    n, p, k = {"groups": (60, 24, 3), "wide": (80, 1600, 3)}.get(kind, (60, 140, 4))
    X = random.standard_normal((n, p)) + 0.5 * random.standard_normal((n, 1))
    y = X[:, :k].sum(axis=1) + random.standard_normal(n)
    loss, ridge = so.LeastSquares(X, y), so.Ridged(so.Zero(), 0.1)
    if kind == "groups":
        return so.Problem(loss, so.Ridged(so.Zero(), 0.02), so.GroupCardinality(k, 2))
    if kind == "logistic":
        return so.Problem(so.Logistic(X, np.sign(y)), so.Ridged(so.Zero(), 0.02), so.Cardinality(3))
    if kind == "box":
        return so.Problem(loss, ridge, so.Intersection(so.Cardinality(k), so.Box(-0.8, 0.9)))
    return (
        so.Problem(loss, so.Ridged(so.L0(0.07), 0.1)) if kind == "price" else so.Problem(loss, ridge, so.Cardinality(k))
    )


def digits(solution):
    """All that may not depend on threads."""
    certificate = solution.certificate
    numbers = np.array([certificate.objective, certificate.lower_bound])
    return solution.status, solution.iterations, solution.w.tobytes(), numbers.tobytes()


@pytest.fixture
def early(monkeypatch):
    """Lanes that begin with the third node."""
    monkeypatch.setattr(lanes, "BEFORE", lanes.Before(2, 0))


@pytest.mark.parametrize("seed", range(50))
def test_any_number_of_threads_gives_the_same_digits(seed, early):
    problem = drawn(seed, KINDS[seed % len(KINDS)])
    first, *others = (so.solve(problem, so.BranchAndBound(threads=n), tol=1e-4, max_iter=120) for n in (1, 2, 3))
    assert [digits(other) for other in others] == [digits(first)] * 2


# samples, features, most of them that may be in, ridge, correlation: two trees; supports that are gone through, not to the
# end; no ridge; an interior-point method
FEW = ((40, 60, 6, 0.02, 0.5), (50, 120, 5, 0.02, 0.5), (220, 180, 6, 0.0, 0.5), (120, 90, 5, 0.0, 30.0))


def drawn_few(seed, n, p, k, ridge, correlation):
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + correlation * random.standard_normal((n, 1))
    y = X[:, :k].sum(axis=1) + 2.0 * random.standard_normal(n)
    penalty = so.Ridged(so.Zero(), ridge) if ridge else so.Zero()
    return so.Problem(so.LeastSquares(X, y), penalty, so.Cardinality(k))


def interrupted(monkeypatch, problem, solver, most):
    """Digits of a search without a clock, and of one that looks up as often as it can."""
    found = []
    for seconds in (np.inf, 0.0):
        monkeypatch.setattr(branch_and_bound, "_CHUNK", seconds)
        found.append(digits(so.solve(problem, solver, tol=1e-4, max_iter=most)))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_clock_changes_no_digit(kind, threads, early, monkeypatch):
    first, other = interrupted(monkeypatch, drawn(5, kind), so.BranchAndBound(threads=threads), 120)
    assert first == other


@pytest.mark.parametrize("shape", FEW)
@pytest.mark.parametrize("keep_proof", [False, True])
@pytest.mark.parametrize("seed", [0, 2])
def test_the_clock_changes_no_digit_of_few_features(shape, keep_proof, seed, monkeypatch):
    problem = drawn_few(seed, *shape)
    first, other = interrupted(monkeypatch, problem, so.BranchAndBound(keep_proof=keep_proof), 150)
    assert first == other


@pytest.mark.parametrize("kind", KINDS)
def test_lanes_find_what_a_tree_finds_and_leave_a_proof(kind, early, monkeypatch):
    problem = drawn(7, kind)
    found = so.solve(problem, so.BranchAndBound(threads=2, keep_proof=True), tol=1e-4)
    monkeypatch.setattr(lanes, "BEFORE", lanes.Before(10**9, 0))
    alone = so.solve(problem, so.BranchAndBound(), tol=1e-4)
    assert found.status is alone.status is so.Status.CONVERGED
    assert found.certificate.objective == pytest.approx(alone.certificate.objective, rel=1e-4)
    assert found.certificate.lower_bound <= alone.certificate.objective
    assert found.certificate.relative_gap <= 1e-4
    found.certificate.verify(problem)


def test_the_tree_of_the_proof_is_the_same_as_well(early):
    trees = [
        so.solve(drawn(3, "logistic"), so.BranchAndBound(threads=n, keep_proof=True)).certificate.tree for n in (1, 3)
    ]
    first, other = ([(node.parent, node.feature, node.is_in, node.is_leaf) for node in tree.nodes] for tree in trees)
    assert first == other


def test_no_more_nodes_than_asked_for_are_visited(early):
    problem = drawn(0, "least squares")
    whole = so.solve(problem, so.BranchAndBound(), tol=1e-9).iterations
    for most in range(1, 40, 3):
        assert so.solve(problem, so.BranchAndBound(threads=2), tol=1e-9, max_iter=most).iterations == min(most, whole)


def hard():
    """A problem that takes hours."""
    random = np.random.default_rng(0)
    X = random.standard_normal((200, 1000))
    y = X[:, :15].sum(axis=1) + 5.0 * random.standard_normal(200)
    return so.Problem(so.LeastSquares(X, y), so.Ridged(so.Zero(), 0.05), so.Cardinality(15))


def test_a_time_limit_leaves_an_honest_gap_and_no_thread(early):
    problem = hard()
    so.solve(problem, so.BranchAndBound(threads=2), max_iter=200)  # compilation of all that lanes call
    solution = so.solve(problem, so.BranchAndBound(threads=2), time_limit=0.5)
    best = so.solve(problem, so.LocalSearch(kicks=20)).certificate.objective
    assert solution.status is so.Status.TIME_LIMIT
    assert solution.certificate.lower_bound <= best
    assert solution.certificate.relative_gap > 1e-3
    assert solution.seconds <= 2.0  # four times what was asked for, on a busy machine
    assert threading.active_count() == 1


@pytest.fixture
def no_collection():
    """What is raised inside a callback of the garbage collector (hypothesis has one) is told on stderr, and raised again later."""
    gc.disable()
    yield
    gc.enable()


def test_an_interrupt_ends_all_threads(early, no_collection):
    problem = hard()
    so.solve(problem, so.BranchAndBound(threads=2), max_iter=200)  # compilation
    timer = threading.Timer(0.5, _thread.interrupt_main)
    start = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        so.solve(problem, so.BranchAndBound(threads=2), time_limit=60.0)
    timer.join()
    assert time.perf_counter() - start <= 5.0
    assert threading.active_count() == 1


def test_a_callback_sees_better_supports_and_stops_the_search(early):
    seen = []

    def callback(nodes, w):
        seen.append(nodes)
        return nodes >= 30

    solution = so.solve(hard(), so.BranchAndBound(threads=2), callback=callback, time_limit=60.0)
    assert solution.status is so.Status.STOPPED
    assert seen == sorted(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_work_buffers_that_begin_full_of_nan_change_nothing(kind, early):
    problem, solver = drawn(1, kind), so.BranchAndBound(threads=2)
    plain = so.solve(problem, solver, tol=1e-4, max_iter=60)
    with poisoned():
        again = so.solve(problem, solver, tol=1e-4, max_iter=60)
    assert digits(again) == digits(plain)


def test_a_number_of_threads_that_is_none_is_refused():
    with pytest.raises(ValueError, match="threads must be at least 1"):
        so.BranchAndBound(threads=0)
