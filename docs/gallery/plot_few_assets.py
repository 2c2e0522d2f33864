"""
The efficient frontier with at most k assets
============================================

Risk against return of portfolios of few assets. Each point is the best one of its size, proven.
"""

import numpy as np
from matplotlib import pyplot as plt

import sparseopt as so
from sparseopt.plotting import COLOURS

rng = np.random.default_rng(0)
n = 40
loadings = np.column_stack([0.18 + 0.05 * rng.standard_normal(n), 0.06 * rng.standard_normal((n, 3))])
risk = loadings @ loadings.T + np.diag(rng.uniform(0.1, 0.3, n) ** 2)
returns = 0.03 + 0.3 * loadings[:, 0] + 0.03 * rng.standard_normal(n)

# %%
# The budget is a simplex, the return a row; the tree of each point is closed to a relative gap of 1e-6.

loss, targets = so.Quadratic(risk, np.zeros(n)), np.linspace(0.085, 0.14, 12)


def frontier(k):
    """Deviations of the best portfolios of at most k assets, one for each return."""
    found = []
    for target in targets:
        rules = so.Intersection(so.Simplex(), so.LinearConstraint(returns[None, :], target, np.inf), so.Cardinality(k))
        solution = so.solve(so.Problem(loss, constraint=rules), so.BranchAndBound()).require(gap=1.1e-6)
        found.append(np.sqrt(2.0 * solution.certificate.objective))
    return found


figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for k, colour in zip((2, 3, 5, n), COLOURS, strict=False):
    axes.plot(
        frontier(k), targets, "o-", color=colour, markersize=3, label=f"at most {k} assets" if k < n else "all assets"
    )
axes.scatter(np.sqrt(risk.diagonal()), returns, s=8, color="grey", label="single assets")
axes.set(xlabel="standard deviation", ylabel="return", ylim=(0.0, 0.17))
axes.legend(frameon=False)
plt.show()
