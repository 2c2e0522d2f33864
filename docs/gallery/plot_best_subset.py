"""
The best subset, and the proof that there is none better
========================================================

A local search finds the best columns for every k in a moment. Branch and bound proves it:
its tree of bounds is kept, and checked by a program that shares nothing with the solver.
"""

import numpy as np
from matplotlib import pyplot as plt

import sparseopt as so
from sparseopt.plotting import COLOURS, plot_bounds, plot_path

rng = np.random.default_rng(0)
n, p = 200, 300
X = rng.standard_normal((n, p))
for j in range(1, p):  # neighbours are alike
    X[:, j] += 0.6 * X[:, j - 1]
w = np.zeros(p)
w[[20, 80, 140, 200, 260]] = 1.0, -0.8, 0.7, 0.6, -0.5
y = X @ w + 1.5 * rng.standard_normal(n)

# %%
# One solution for each k, and three opinions on how many columns there are.

loss = so.LeastSquares(X, y, intercept=True)
problem = so.Problem(loss, so.Ridged(so.Zero(), 0.05))
path = so.path(problem, [so.Cardinality(k) for k in range(13)])
criteria = so.information_criteria(path, loss)

_, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(6.4, 6.4), layout="constrained")
plot_path(path, axes=above)
above.legend(frameon=False, fontsize="small", loc="center right")
for name, colour in (("bic", COLOURS[0]), ("ebic", COLOURS[1]), ("gic", COLOURS[2])):
    values = getattr(criteria, name)
    below.plot(
        path.alphas,
        values,
        color=colour,
        marker="o",
        markersize=3,
        label=f"{name.upper()}, least at {np.argmin(values)}",
    )
above.set_xlabel("")
below.set_xlabel("nonzero coefficients allowed")
below.legend(frameon=False, fontsize="small")
below.spines[["top", "right"]].set_visible(False)

# %%
# The proof for five columns: the bound rises until it meets the best subset that is known.

problem = so.Problem(loss, so.Ridged(so.Zero(), 0.05), so.Cardinality(5))
best = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-4, trace=True)
plot_bounds(best)
print(best, best.account)

# %%
# The local search had found it already; now it is known.

print(path[5].support, best.support)

# %%
# Anybody with the data can check it. A single point of the proof that is not what it was does not pass.

certificate = best.certificate
certificate.verify(problem)
print(certificate.tree, "holds")
