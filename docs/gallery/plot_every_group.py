"""
Predictors that work in every group
===================================

The size of cell nuclei from other measurements of them, for benign and for malignant tumours. Least squares on all
samples fits the many benign ones; the subset for the worst group is one for both. On data it has not seen, the error of
the worse group is lower here. For other measurements of these nuclei the gain is smaller or none, and there is none where
groups have nothing to disagree about.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.preprocessing import StandardScaler

import sparseopt as so
from sparseopt.plotting import COLOURS

data = load_breast_cancer()
names = data.feature_names.tolist()
Z, area = StandardScaler().fit_transform(data.data), names.index("mean area")
X, y = np.delete(Z, area, axis=1), Z[:, area]
kinds = np.array(["malignant", "benign"])[data.target]
del names[area]

# %%
# For each number of features one subset of each sort, from one half of the samples. `MinimaxSearch` is the default for a
# `WorstCase`; the other half says how large the errors are in each group. Six random halves.


def fitted(X, y, groups, k):
    """The best subset for the mean of all samples, and that for the worst group."""
    plain = so.LeastSquares(X, y, intercept=True)
    worst = so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=True)
    return [so.solve(so.Problem(loss, constraint=so.Cardinality(k))) for loss in (plain, worst)]


def errors(solution, X, y, groups):
    """Root mean square error in each group."""
    r = y - X @ solution.w - solution.intercept
    return [np.sqrt(np.mean(r[groups == name] ** 2)) for name in np.unique(groups)]


def held_out(X, y, groups, sizes, splits=6):
    """Errors of shape (splits, sizes, 2 subsets, groups) on the half that was not fitted."""
    found = []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[: len(y) // 2], order[len(y) // 2 :]
        solutions = [fitted(X[train], y[train], groups[train], k) for k in sizes]
        found.append([[errors(s, X[test], y[test], groups[test]) for s in pair] for pair in solutions])
    return np.array(found)


sizes = [1, 2, 3, 4, 6, 8]
found = held_out(X, y, kinds, sizes)

# %%
# The worse group on the left, the mean of the two groups on the right; bands are one standard error of the splits.


def draw(axes, values, title):
    for values_of, label, colour in zip(values, ("all samples", "worst group"), COLOURS, strict=False):
        middle, width = values_of.mean(axis=0), values_of.std(axis=0, ddof=1) / np.sqrt(len(values_of))
        axes.plot(sizes, middle, marker="o", color=colour, label=f"subset for {label}")
        axes.fill_between(sizes, middle - width, middle + width, color=colour, alpha=0.2, linewidth=0)
    axes.set_title(title)
    axes.set_xlabel("features")
    axes.set_yscale("log")


_, (left, right) = plt.subplots(1, 2, layout="constrained", figsize=(8, 3.5), sharey=True)
draw(left, np.moveaxis(found.max(axis=3), 2, 0), "held-out error of the worse group")
draw(right, np.moveaxis(found.mean(axis=3), 2, 0), "mean of the groups")
left.legend()

# %%
# What is chosen from all samples: the same three, with other coefficients. In the proof nearly all weight is on the group that
# is harder to fit: the mean of the losses with these weights is no better for any other coefficients on this support.

for solution in fitted(X, y, kinds, 3):
    print([names[j] for j in solution.support], np.round(errors(solution, X, y, kinds), 3), np.unique(kinds).tolist())
print(solution.duals.losses.round(3))

# %%
# That no other three features are better for the worst group is proven by branch and bound.

loss = so.WorstCase.over_groups(so.LeastSquares, X, y, kinds, intercept=True)
proven = so.solve(so.Problem(loss, constraint=so.Cardinality(3)), so.MinimaxBranchAndBound(), tol=1e-4)
print(proven.status.name, proven.certificate.summary)

# %%
# The same for the progression of diabetes in men and women. They need the same measurements and have the same noise: the
# subset for the worst group pays a little for a safety that nobody needs. Only data that was not fitted tells the two apart.

patients = load_diabetes()
sex = np.where(patients.data[:, 1] > 0.0, "one sex", "the other")
scaled, ratios = StandardScaler().fit_transform(patients.data), {}
for title, errors_found in {
    "nuclei": found,
    "diabetes": held_out(scaled, patients.target, sex, [1, 2, 3, 4, 6, 8]),
}.items():
    worst = errors_found.max(axis=3).mean(axis=0)
    ratios[title] = worst[:, 1] / worst[:, 0]
    print(title, ratios[title].round(2))

_, axes = plt.subplots(layout="constrained", figsize=(6, 3.5))
for (title, ratio), colour in zip(ratios.items(), COLOURS, strict=False):
    axes.plot(sizes, ratio, marker="o", color=colour, label=title)
axes.axhline(1.0, color="grey", linewidth=0.8)
axes.set_xlabel("features")
axes.set_ylabel("held-out error of the worse group,\nsubset for the worst / for all")
axes.legend()
