"""Portfolios with at most k assets, as a `Problem` and as plain numbers.

minimise  w'Qw / 2   subject to   sum w = 1,  mu'w >= target,  at most k nonzeros,  and bounds or buy-in limits
"""

from dataclasses import dataclass

import numpy as np
import sparseopt as so


@dataclass(frozen=True, eq=False)
class Portfolio:
    """One problem; with buy-in limits each weight is zero or within the bounds."""

    kind: str
    Q: np.ndarray
    mu: np.ndarray
    target: float
    k: int
    lower: float
    upper: float
    has_buy_in: bool = False

    @property
    def problem(self):
        rows = so.LinearConstraint(np.vstack([np.ones_like(self.mu), self.mu]), [1.0, self.target], [1.0, np.inf])
        bounds = (so.SemiContinuous if self.has_buy_in else so.Box)(self.lower, self.upper)
        loss = so.Quadratic(self.Q, np.zeros_like(self.mu))
        return so.Problem(loss, constraint=so.Intersection(rows, bounds, so.Cardinality(self.k)))

    def graded(self, w, bound):
        """Objective, gap to a bound, and violation of a portfolio, the same for all solvers."""
        w = np.where(np.abs(w) < 1e-7, 0.0, w)
        objective = float(w @ self.Q @ w) / 2
        return {
            "objective": objective,
            "gap": (objective - bound) / abs(objective),
            "violation": self.problem.violation(w),
        }


def factors(n, seed):
    """Covariance and mean of five factors, the first a market, and specific variances."""
    random = np.random.default_rng(seed)
    loadings = random.standard_normal((n, 5)) * [0.0, 0.06, 0.06, 0.06, 0.06]
    loadings[:, 0] = 0.18 * np.abs(1.0 + 0.3 * random.standard_normal(n))
    mu = 0.03 + 0.3 * loadings[:, 0] + 0.03 * random.standard_normal(n)
    return loadings @ loadings.T + np.diag(random.uniform(0.1, 0.35, n) ** 2), mu


def weeks(n, seed, count):
    """Covariance and mean of heavy-tailed weekly returns, a year's worth."""
    Q, mu = factors(n, seed)
    random = np.random.default_rng([seed, 1])
    shocks = random.standard_t(5, size=(count, n)) * np.sqrt(3 / 5)
    returns = mu / 52 + shocks @ np.linalg.cholesky(Q).T / np.sqrt(52)
    return 52 * np.cov(returns.T), 52 * returns.mean(axis=0)


def correlated(n, seed):
    """A correlation of 0.3 to 0.7 throughout, deviations of 2% to 6%: as the index tracking data of the OR-Library are."""
    random = np.random.default_rng(seed)
    common = np.sqrt(random.uniform(0.3, 0.7, n))
    deviations = random.uniform(0.02, 0.06, n)
    C = np.outer(common, common)
    np.fill_diagonal(C, 1.0)
    return deviations[:, None] * C * deviations, random.uniform(0.0, 0.01, n)


def small(seed):
    """Portfolios of up to 50 assets: a generator."""
    for kind, (Q, mu), k, lower, upper, has_buy_in in (
        ("factors, n=50, k=10", factors(50, seed), 10, 0.0, 1.0, False),
        ("120 weeks, n=50, k=5", weeks(50, seed, 120), 5, 0.0, 1.0, False),
        ("250 weeks, n=50, k=10", weeks(50, seed + 1, 250), 10, 0.0, 1.0, False),
        ("correlated, n=31, k=10", correlated(31, seed), 10, 0.0, 1.0, False),
        ("buy-in 5% to 30%, n=50, k=10", weeks(50, seed + 2, 250), 10, 0.05, 0.3, True),
        ("long and short, n=30, k=5", weeks(30, seed + 3, 250), 5, -1.0, 1.0, False),
    ):
        yield Portfolio(kind, Q, mu, float(np.quantile(mu, 0.7)), k, lower, upper, has_buy_in)


def large(seed):
    """Portfolios of 200 and 400 assets: a generator."""
    for n in (200, 400):
        for kind, (Q, mu) in (("factors", factors(n, seed)), (f"{3 * n} weeks", weeks(n, seed + 1, 3 * n))):
            yield Portfolio(f"{kind}, n={n}, k=10", Q, mu, float(np.quantile(mu, 0.7)), 10, 0.0, 1.0)
