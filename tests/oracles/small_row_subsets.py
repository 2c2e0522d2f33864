"""Random small best subsets under linear rows, and their optimum over all supports by an interior-point method."""

import itertools

import numpy as np

import sparseopt as so
from sparseopt.problem import without_price
from sparseopt.programs.row_subsets import RowSubset


def row_problem_of(seed):
    """A problem with rows or buy-in limits; sets that contradict each other at the door are drawn again."""
    random = np.random.default_rng([seed, 2])
    while True:
        try:
            problem = _problem(random)
        except ValueError:
            continue
        if RowSubset.has_rows(problem):
            return problem


def _problem(random):
    n, p = int(random.integers(1, 12)), int(random.integers(1, 7))
    X = random.standard_normal((n, p)) if random.random() < 0.6 else random.integers(-2, 3, (n, p)).astype(float)
    if random.random() < 0.3:
        X += 1.5 * random.standard_normal((n, 1))
    for j in np.flatnonzero(random.random(p) < 0.1):
        X[:, j] = X[:, random.integers(p)]  # a tie
    y = X @ (random.standard_normal(p) * (random.random(p) < 0.6)) + random.standard_normal(n)
    if random.random() < 0.5:
        weights = None if random.random() < 0.5 else random.random(n) + 0.1
        loss = so.LeastSquares(X, y, sample_weight=weights, intercept=bool(random.random() < 0.4))
    else:
        ridge = 0.0 if random.random() < 0.3 else 0.1
        loss = so.Quadratic(X.T @ X / n + ridge * np.eye(p), -X.T @ y / n * (random.random() < 0.7))
    parts = _bounds(random, p)
    for _ in range(random.integers(0, 3)):
        parts.append(_rows(random, p))
    if random.random() < 0.6:
        parts.append(so.Cardinality(int(random.integers(0, p + 1))))
    if random.random() < 0.15:
        parts.append(so.Required(int(random.integers(p))))
    if random.random() < 0.15:
        parts.append(so.Forbidden(int(random.integers(p))))
    counts = any(isinstance(part, so.SupportConstraint | so.SemiContinuous) for part in parts)
    penalty = so.L0(float(random.choice([0.001, 0.01, 0.1]))) if not counts or random.random() < 0.3 else so.Zero()
    if random.random() < 0.5:
        penalty = so.Ridged(penalty, float(random.choice([0.001, 0.1])))
    return so.Problem(loss, penalty, so.Intersection(*parts))


def _bounds(random, p):
    parts, kind = [], random.random()
    if random.random() < 0.3:
        lower = random.choice([0.0, 0.05, 0.2, 0.4], p)
        upper = lower + random.choice([0.1, 0.5, 1.0, np.inf], p)
        turned = random.random(p) < 0.2
        parts.append(so.SemiContinuous(np.where(turned, -upper, lower), np.where(turned, -lower, upper)))
    if kind < 0.3:
        parts.append(so.Box(0.0, np.inf))
    elif kind < 0.6:
        parts.append(so.Box(-1.0, 1.0))
    elif kind < 0.7:
        lower, upper = random.choice([-np.inf, -1.0, -0.2, 0.0], p), random.choice([np.inf, 1.0, 0.2, 0.0], p)
        if random.random() < 0.3:
            j = random.integers(p)
            lower[j], upper[j] = 0.1, 0.5  # never zero
        parts.append(so.Box(lower, upper))
    if random.random() < 0.3:
        parts.append(so.Simplex(float(random.choice([1.0, 0.5]))))
    return parts


def _rows(random, p):
    """One or two rows, mostly through some point."""
    m = int(random.integers(1, 3))
    A = random.standard_normal((m, p)) if random.random() < 0.5 else random.integers(-1, 2, (m, p)).astype(float)
    middle = A @ (0.5 * random.standard_normal(p) * (random.random(p) < 0.5))
    kind = random.random()
    if kind < 0.4:
        return so.LinearConstraint(A, np.round(middle, 3), np.round(middle, 3))
    lower = middle - random.random(m) if kind < 0.85 else np.full(m, -np.inf)
    return so.LinearConstraint(A, lower, middle + random.random(m) if kind > 0.7 or kind < 0.6 else np.inf)


def optimum_of(problem):
    """The least objective over all supports, inf where none has a point; None where a refit is not good enough to judge by."""
    subset, best = RowSubset.of(problem), np.inf
    features = range(subset.n_features)
    for size in range(min(subset.k, subset.n_features) + 1):
        for chosen in itertools.combinations(features, size):
            inside = np.isin(features, chosen)
            if not inside[subset.required].all() or inside[subset.forbidden].any():
                continue
            lower, upper = np.where(inside, subset.lower, 0.0), np.where(inside, subset.upper, 0.0)
            if np.any(lower > upper):
                continue
            rows = so.LinearConstraint(subset.A, subset.row_lower, subset.row_upper)
            refit = so.Problem(
                problem.loss, without_price(problem.penalty), so.Intersection(so.Box(lower, upper), rows)
            )
            found = so.solve(refit, so.InteriorPoint(), tol=1e-9)
            if found.status is so.Status.CONVERGED and found.certificate.violation <= 1e-8:
                best = min(best, found.certificate.objective + subset.alpha * size)
            elif found.status is not so.Status.INFEASIBLE:
                return None
    return best
