"""The first cases of ``python -m benchmarks.quadratic_programs.tiny``, which runs ten thousand, and linear ones by HiGHS."""

import numpy as np
import pytest
from scipy.optimize import linprog
from small_programs import program_of, verdict

import sparseopt as so

TIGHT = 1e-8


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_active_set_and_interior_point_agree(seed):
    for case in range(seed, seed + 40):
        problem, start = program_of(case)
        found, other = (so.solve(problem, solver, start, tol=TIGHT) for solver in (so.ActiveSet(), so.InteriorPoint()))
        judged, there = verdict(problem, found, TIGHT), verdict(problem, other, TIGHT)
        assert judged not in ("wrong", "open"), case
        assert there in (judged, "open"), case
        if judged == there == "solved":
            objectives = found.certificate.objective, other.certificate.objective
            assert objectives[0] == pytest.approx(objectives[1], rel=1e-6, abs=1e-6), case


@pytest.mark.parametrize("seed", [1600536, 1601159, 1602985])
def test_a_ray_of_descent_is_found_though_rounding_hides_far_out_that_rows_are_met(seed):
    found = so.solve(program_of(seed)[0], so.InteriorPoint(), tol=TIGHT)
    assert verdict(program_of(seed)[0], found, TIGHT) == "unbounded"
    assert found.iterations < 50


@pytest.mark.parametrize("seed", [2702189, 2702642])
def test_a_ray_of_descent_has_no_dust_of_coefficients_that_are_held_by_their_curvature(seed):
    """A projection leaves 1e-38 of them, all of whose curvature counts."""
    for solver in (so.InteriorPoint(), None):
        found = so.solve(program_of(seed)[0], solver, tol=TIGHT)
        assert verdict(program_of(seed)[0], found, TIGHT) == "unbounded"


@pytest.mark.parametrize("seed", [1615795, 1621452])
def test_a_step_is_a_ray_where_points_carry_along_too_much_of_where_they_began(seed):
    found = so.solve(program_of(seed)[0], so.InteriorPoint(), tol=TIGHT)
    assert verdict(program_of(seed)[0], found, TIGHT) == "infeasible"
    assert found.iterations < 50


@pytest.mark.parametrize("seed", [1617277, 1630015])
def test_constraints_alone_are_asked_where_iterates_follow_an_objective_that_falls_for_ever(seed):
    found = so.solve(program_of(seed)[0], so.InteriorPoint(), tol=TIGHT)
    assert verdict(program_of(seed)[0], found, TIGHT) == "infeasible"


@pytest.mark.parametrize("seed", [1311652, 1637865])
def test_nothing_is_claimed_that_another_order_of_summation_denies(seed):
    """Multipliers of 8e7 are optimal, and the last digit of their pulls exceeds the tolerance."""
    problem, start = program_of(seed)
    for solver in (so.ActiveSet(), so.InteriorPoint(), None):
        assert verdict(problem, so.solve(problem, solver, start, tol=TIGHT), TIGHT) != "wrong"


@pytest.mark.parametrize("seed", range(5))
def test_linear_programs_end_as_highs_says(seed):
    """Proximal points follow the multipliers to a corner, however degenerate, or to a ray."""
    random = np.random.default_rng(seed)
    for _ in range(20):
        p, m = int(random.integers(2, 9)), int(random.integers(1, 12))
        A, c = random.integers(-2, 3, (m, p)).astype(float), random.integers(-3, 4, p).astype(float)
        upper = A @ random.integers(0, 2, p) + random.integers(-1, 3, m)
        rows = so.LinearConstraint(A, np.full(m, -np.inf), upper)
        problem = so.Problem(so.Quadratic(np.zeros((p, p)), c), constraint=so.Intersection(rows, so.Box(0.0, np.inf)))
        found = so.solve(problem, so.ActiveSet(), tol=TIGHT)
        oracle = linprog(c, A_ub=A, b_ub=upper, bounds=(0, None), method="highs")
        # HiGHS may stop at the first of two proofs where a program is neither feasible nor bounded
        expected = {0: ["solved"], 2: ["infeasible"], 3: ["unbounded"], 4: ["infeasible", "unbounded"]}[oracle.status]
        assert verdict(problem, found, TIGHT) in expected
        if oracle.status == 0:
            assert found.certificate.objective == pytest.approx(oracle.fun, abs=1e-7)
