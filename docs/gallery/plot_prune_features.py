"""
Prune features for a random forest
==================================

Iris has four measurements. Eight columns of noise are put beside them, five ways to choose two columns compete,
and a random forest is cross-validated before and after.
The choice is part of the pipeline, so that it never sees the samples that judge it.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sparseopt.adapters.sklearn import FeatureSelector
from sparseopt.plotting import COLOURS, plot_mask
from sparseopt.pruning import (
    BestSubset,
    InformationGain,
    LassoFeatures,
    MutualInformation,
    RecursiveElimination,
    prune_features,
)

iris = load_iris()
noise = np.random.default_rng(0).standard_normal((150, 8))
X, y = np.hstack([iris.data, noise]), iris.target
forest = RandomForestClassifier(10, random_state=0)
before = cross_val_score(forest, X, y).mean()
print(f"all 12 columns: {before:.3f} by cross-validation")

# %%
# Information gain and mutual information look at one column at a time. Recursive elimination asks the forest.
# The lasso and the best subset fit all columns together to indicators of the classes.

methods = {
    "information gain": InformationGain(bins=4),
    "mutual information": MutualInformation(),
    "recursive elimination": RecursiveElimination(),
    "lasso": LassoFeatures(),
    "best subset": BestSubset(),
}
sizes = (1, 2, 3, 4)
_, axes = plt.subplots(layout="constrained")
for (name, method), colour in zip(methods.items(), COLOURS, strict=False):
    accuracy = [
        cross_val_score(
            make_pipeline(FeatureSelector(method, n_features_to_select=size, estimator=forest), forest), X, y
        ).mean()
        for size in sizes
    ]
    axes.plot(sizes, accuracy, marker="o", color=colour, label=name)
    print(f"{name:22} " + " ".join(f"{value:.3f}" for value in accuracy))
axes.axhline(before, color="black", linestyle=":", label="all columns")
axes.set_xlabel("columns kept")
axes.set_ylabel("accuracy by cross-validation")
axes.legend(frameon=False)

# %%
# `prune_features` fits the forest on the columns it keeps. Least squares has a proof too:
# branch and bound shows that no other two columns explain the classes better.

pruned = prune_features(forest, X, y, keep=2, method=BestSubset(proof_time=10))
kept = np.flatnonzero(pruned.mask["features"])
print([iris.feature_names[j] if j < 4 else f"noise {j - 4}" for j in kept])
print(f"relative gap {pruned.certificates['features'].relative_gap:.1e}")
plot_mask(pruned.mask)
