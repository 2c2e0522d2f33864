"""qpsolvers finds us by name, and agrees that our solutions are optimal."""

import numpy as np
import pytest
import qpsolvers
from scipy import sparse

from sparseopt.adapters.qpsolvers import NAME, register

register()


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("has", ["all", "equalities", "inequalities", "bounds", "lower bounds", "nothing"])
def test_a_solution_is_optimal_by_their_own_measure(storage, has):
    rng = np.random.default_rng(0)
    M, q = rng.standard_normal((8, 6)), rng.standard_normal(6)
    G, A = rng.standard_normal((5, 6)), rng.standard_normal((2, 6))
    parts = {
        "G": storage(G), "h": rng.random(5), "A": storage(A), "b": 0.1 * rng.standard_normal(2),
        "lb": np.full(6, -0.5), "ub": np.full(6, 0.5),
    }  # fmt: skip
    kept = {
        "all": list(parts), "equalities": ["A", "b"], "inequalities": ["G", "h"], "bounds": ["lb", "ub"],
        "lower bounds": ["lb"], "nothing": [],
    }[has]  # fmt: skip
    problem = qpsolvers.Problem(storage(M.T @ M), q, **{name: parts[name] for name in kept})
    solution = qpsolvers.solve_problem(problem, solver=NAME)
    assert solution.found
    assert solution.is_optimal(1e-8)


def test_it_stands_among_their_solvers_once():
    register()
    assert qpsolvers.available_solvers.count(NAME) == 1
    x = qpsolvers.solve_qp(np.eye(2), np.array([-2.0, 1.0]), lb=np.zeros(2), solver=NAME)
    assert x == pytest.approx([2.0, 0.0])


def test_what_has_no_solution_is_not_found_and_says_why():
    problem = qpsolvers.Problem(np.eye(2), np.zeros(2), G=np.ones((1, 2)), h=np.array([-1.0]), lb=np.zeros(2))
    solution = qpsolvers.solve_problem(problem, solver=NAME)
    assert not solution.found
    assert solution.extras["solution"].status.name == "INFEASIBLE"
    assert (
        qpsolvers.solve_qp(np.eye(2), np.zeros(2), np.ones((1, 2)), np.array([-1.0]), lb=np.zeros(2), solver=NAME)
        is None
    )
