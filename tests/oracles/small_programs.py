"""Random tiny quadratic programs: linear ones, degenerate, deficient in rank, with ties and redundant rows, without a solution."""

import numpy as np

import sparseopt as so
from sparseopt.proofs.kkt import kkt_residuals
from sparseopt.proofs.rows_and_bounds import form_of


def program_of(seed):
    """A problem with up to eight coefficients and nine rows, and a start or None."""
    random = np.random.default_rng(seed)
    p, m = int(random.integers(1, 9)), int(random.integers(0, 10))
    is_whole = random.random() < 0.5  # small whole numbers make ties and degenerate corners

    def draw(*shape):
        return random.integers(-2, 3, shape).astype(float) if is_whole else random.standard_normal(shape)

    M = draw(p, int(random.choice([0, 0, 1, max(1, p // 2), p, p, p, 2 * p])))
    Q = M @ M.T if M.size else np.zeros((p, p))
    if random.random() < 0.2:
        Q = Q * 10.0 ** random.integers(-4, 5)
    c = Q @ draw(p) if random.random() < 0.2 else draw(p)
    point = draw(p) if random.random() < 0.8 else np.zeros(p)
    parts = [_rows(random, draw, m, point)] if m else []
    kind = random.random()
    if kind < 0.6:
        parts.append(_box(random, draw, point))
    elif kind < 0.7:
        parts.append(so.Box(0.0, np.inf))
    elif kind < 0.75:
        parts.append(so.Simplex())
    if not parts:
        parts.append(so.LinearConstraint(np.ones((1, p)), -np.inf, 1.0))
    start = draw(p) if random.random() < 0.1 else None
    return so.Problem(so.Quadratic(Q, c), _penalty(random, draw, p), so.Intersection(*parts)), start


def _rows(random, draw, m, point):
    A = draw(m, point.size)
    for _ in range(int(random.integers(0, 3)) if m > 1 else 0):
        i, j = random.integers(0, m, 2)
        A[i] = A[j] * random.choice([1.0, -1.0, 2.0])
    if m > 2 and random.random() < 0.3:
        A[-1] = A[0] + A[1]
    middle = A @ point + (draw(m) if random.random() < 0.15 else 0.0)
    lower, upper = (middle + sign * np.where(random.random(m) < 0.4, 0.0, np.abs(draw(m))) for sign in (-1, 1))
    is_equal = random.random(m) < random.choice([0.0, 0.2, 0.5])
    upper[is_equal] = lower[is_equal]
    lower[~is_equal & (random.random(m) < 0.4)] = -np.inf
    upper[~is_equal & (random.random(m) < 0.3)] = np.inf
    return so.LinearConstraint(A, lower, upper)


def _box(random, draw, point):
    p = point.size
    lower, upper = (point + sign * np.where(random.random(p) < 0.4, 0.0, np.abs(draw(p))) for sign in (-1, 1))
    lower[random.random(p) < 0.3], upper[random.random(p) < 0.3] = -np.inf, np.inf
    return so.Box(lower, upper)


def _penalty(random, draw, p):
    kind = random.random()
    if kind < 0.2:
        return so.L1(float(random.choice([0.1, 1.0, 3.0])))
    if kind < 0.3:
        return so.Weighted(so.L1(0.5), np.abs(draw(p)))
    if kind < 0.33:
        return so.Nonnegative(so.L1(0.5))
    return so.Ridged(so.L1(0.3), 0.5) if kind < 0.36 else so.Zero()


def verdict(problem, solution, tol):
    """What a solution claims: "solved", "infeasible", "unbounded", "open"; "wrong" where the data do not bear it out."""
    certificate, status = solution.certificate, solution.status
    if status is so.Status.CONVERGED:
        found = kkt_residuals(problem, solution.w, solution.duals)
        is_right = (
            found.violation <= tol
            and found.dual <= tol + _rounding(problem, solution)
            and found.gap <= tol * max(1.0, abs(found.objective))
        )
        return "solved" if is_right else "wrong"
    if status is so.Status.INFEASIBLE:
        return "infeasible" if certificate.proof == "infeasible ray" else "wrong"
    if status is so.Status.UNBOUNDED:
        return "unbounded" if certificate.proof == "unbounded ray" else "wrong"
    return "open"


def _rounding(problem, solution):
    """What the order of summation may make of a dual residual (Higham, 2002, 3.1): beside multipliers of 1e8, some 1e-8."""
    w, y = np.abs(solution.w), np.abs(solution.duals.rows)
    form = form_of(problem)
    A = abs(form.A)
    sums = np.abs(problem.loss.Q.to_array()) @ w + np.abs(problem.loss.c) + np.abs(solution.duals.box) + form.ridge * w
    sums += A.T @ y
    # two ways to sum up, each with half a unit for each term
    return float(np.max((w.size + y.size + 3) * np.finfo(np.float64).eps * sums, initial=0.0))
