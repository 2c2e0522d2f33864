"""Problems with a sparse w and nonlinear constraints: ours beside oracles that need more words or more time.

Convex ones against CVXPY with Clarabel; those with at most k nonzeros against all supports: eigenvalues for principal
components, SLSQP on each support for portfolios. SciPy cannot state an L1 norm or a count; split in positive and negative
parts, an L1 norm becomes twice as many variables with bounds, which is what is raced here.
"""

import itertools
import time

import cvxpy as cp
import numpy as np
import sparseopt as so
from scipy import optimize


def timed(call):
    """The result of a call, and its CPU seconds (the second of two, since the first may compile)."""
    call()
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def sparse_rows(*, is_quick):
    """One row a problem and solver: objective over the oracle's, violation, nonzeros, CPU seconds."""
    rows = []
    for p in (30,) if is_quick else (30, 100, 300):
        rows += fair_logistic(p)
    for p, k in ((10, 3),) if is_quick else ((10, 3), (15, 4), (20, 5)):
        for seed in range(1 if is_quick else 5):
            rows += principal_components(p, k, seed)
    for n, k in ((8, 3),) if is_quick else ((10, 3), (12, 4)):
        for seed in range(1 if is_quick else 3):
            rows += portfolio(n, k, seed)
    return rows


def row(problem, solver, objective, best, violation, nonzeros, seconds, calls):
    """A row of the table; `above` is relative to the oracle, from 1 on."""
    return {
        "problem": problem,
        "solver": solver,
        "above oracle": (objective - best) / max(1.0, abs(best)),
        "violation": violation,
        "nonzeros": int(nonzeros),
        "CPU s": seconds,
        "f": calls,
    }


def own_row(problem, solution, best, seconds):
    """The row of a solution of ours."""
    certificate = solution.certificate
    nonzeros, calls = solution.support.size, count(solution)
    return row(problem, "ours", certificate.objective, best, certificate.violation, nonzeros, seconds, calls)


def fair_logistic(p):
    """L1 logistic regression, the difference of the groups' mean logits at most 0.1, in a ball."""
    rng = np.random.default_rng(p)
    X = rng.standard_normal((4 * p, p))
    y = np.where(X[:, 0] - X[:, 1] + 0.5 * X[:, 2] + rng.standard_normal(4 * p) > 0, 1.0, -1.0)
    group = X[:, 2] + 0.3 * rng.standard_normal(4 * p) > 0
    apart, alpha = X[group].mean(axis=0) - X[~group].mean(axis=0), 0.02

    def rows(w):
        return np.array([(apart @ w) ** 2, w @ w])

    def jacobian(w):
        return np.array([2 * (apart @ w) * apart, 2 * w])

    sides = np.array([0.01, 2.0])
    loss = so.Logistic(X, y)
    problem = so.Problem(loss, so.L1(alpha), so.NonlinearConstraint(rows, -np.inf, sides, jacobian))
    mine, seconds = timed(lambda: so.solve(problem, tol=1e-8))
    w = cp.Variable(p)
    losses = cp.sum(cp.logistic(-cp.multiply(y, X @ w))) / (4 * p)
    oracle = cp.Problem(
        cp.Minimize(losses + alpha * cp.norm1(w)), [cp.square(apart @ w) <= 0.01, cp.sum_squares(w) <= 2.0]
    )
    _, its_seconds = timed(lambda: oracle.solve(solver=cp.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9))
    calls = [0]

    def halves(z):
        calls[0] += 1
        v = z[:p] - z[p:]
        slope = loss.gradient(v)
        return loss.evaluate(v) + alpha * z.sum(), np.concatenate([slope, -slope]) + alpha

    def split():
        return optimize.minimize(
            halves,
            np.zeros(2 * p),
            jac=True,
            method="SLSQP",
            bounds=optimize.Bounds(0.0, np.inf),
            constraints={
                "type": "ineq",
                "fun": lambda z: sides - rows(z[:p] - z[p:]),
                "jac": lambda z: -np.hstack([jacobian(z[:p] - z[p:]), -jacobian(z[:p] - z[p:])]),
            },
            options={"ftol": 1e-12, "maxiter": 300},
        )

    title = f"fair logistic, p = {p}"
    found = [
        row(
            title,
            "ours",
            mine.certificate.objective,
            oracle.value,
            mine.certificate.violation,
            mine.support.size,
            seconds,
            count(mine),
        ),
        row(
            title,
            "CVXPY, Clarabel",
            oracle.value,
            oracle.value,
            problem.violation(w.value),
            np.count_nonzero(w.value),
            its_seconds,
            None,
        ),
    ]
    if p <= 100:
        calls[0] = 0
        theirs, its_seconds = timed(split)
        v = theirs.x[:p] - theirs.x[p:]
        found.append(
            row(
                title,
                "SLSQP, split",
                problem.objective(v),
                oracle.value,
                problem.violation(v),
                np.count_nonzero(v),
                its_seconds,
                calls[0] // 2,
            )
        )
    return found


def count(solution):
    """Evaluations of the user's functions, from the account."""
    return int(solution.account.split()[0])


def principal_components(p, k, seed):
    """The largest w'Sw on the sphere with at most k nonzeros, from the even start."""
    rng = np.random.default_rng([p, k, seed])
    data = rng.standard_normal((2 * p, p)) + rng.standard_normal((2 * p, 1)) * (rng.random(p) < 0.4)
    S = data.T @ data / (2 * p)
    sphere = so.NonlinearConstraint(lambda w: w @ w, 1.0, 1.0, lambda w: 2 * w)
    loss = so.Smooth(lambda w: -w @ S @ w, lambda w: -2 * S @ w, n_features=p)
    problem = so.Problem(loss, constraint=[sphere, so.Cardinality(k)])
    mine, seconds = timed(lambda: so.solve(problem, w0=np.full(p, p**-0.5), tol=1e-7))
    start = time.process_time()
    supports = np.array(list(itertools.combinations(range(p), k)))
    best = -float(np.linalg.eigvalsh(S[supports[:, :, None], supports[:, None, :]])[:, -1].max())
    its_seconds = time.process_time() - start
    title = f"principal component, p = {p}, k = {k}, seed {seed}"
    return [
        own_row(title, mine, best, seconds),
        row(title, "all supports", best, best, 0.0, k, its_seconds, None),
    ]


def portfolio(n, k, seed):
    """Returns with a little entropy, a bound on the risk, at most k assets."""
    rng = np.random.default_rng([n, k, seed])
    factors = rng.standard_normal((n, 3))
    C = 0.02 * factors @ factors.T + np.diag(0.01 + 0.05 * rng.random(n))
    mean, scale, most = 0.1 * rng.random(n), 1e-3, 0.15

    def value(w):
        return -mean @ w + scale * np.sum(w * np.log(w + 1e-6))

    def gradient(w):
        return -mean + scale * (np.log(w + 1e-6) + w / (w + 1e-6))

    def risk(w):
        return np.sqrt(w @ C @ w)

    def steepness(w):
        return C @ w / np.sqrt(w @ C @ w)

    rows = [so.LinearConstraint(np.ones((1, n)), 1.0, 1.0), so.NonlinearConstraint(risk, -np.inf, most, steepness)]
    problem = so.Problem(so.Smooth(value, gradient, n), constraint=[*rows, so.Box(0.0, 1.0), so.Cardinality(k)])
    mine, seconds = timed(lambda: so.solve(problem, w0=np.full(n, 1 / n), tol=1e-7))
    start, best = time.process_time(), np.inf
    for support in itertools.combinations(range(n), k):
        upper = np.zeros(n)
        upper[list(support)] = 1.0
        found = optimize.minimize(
            value,
            upper / k,
            jac=gradient,
            method="SLSQP",
            bounds=optimize.Bounds(np.zeros(n), upper),
            constraints=[
                {"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": np.ones_like},
                {"type": "ineq", "fun": lambda w: most - risk(w), "jac": lambda w: -steepness(w)},
            ],
            options={"ftol": 1e-12},
        )
        if found.success:
            best = min(best, found.fun)
    its_seconds = time.process_time() - start
    title = f"portfolio, n = {n}, k = {k}, seed {seed}"
    return [
        own_row(title, mine, best, seconds),
        row(title, "SLSQP on all supports", best, best, 0.0, k, its_seconds, None),
    ]
