"""
How strong a penalty?
=====================

Ten measurements of 442 patients, and ninety columns of noise beside them. Cross-validation finds the
penalty that predicts best, the one-standard-error rule a simpler one, stability selection the columns
that can be relied on.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

import sparseopt as so
from sparseopt.plotting import plot_cross_validation, plot_stability

data = load_diabetes()
noise = np.random.default_rng(0).standard_normal((442, 90))
X = StandardScaler().fit_transform(np.column_stack([data.data, noise]))
names = [*data.feature_names, *(f"noise {j}" for j in range(90))]

loss = so.LeastSquares(X, data.target, intercept=True)
problem = so.Problem(loss)
penalties = [so.L1(alpha) for alpha in so.alpha_grid(loss, 40)]

# %%
# Each fold is a path on the other rows. The band is one standard error of the mean, and the two lines
# are the choices: the penalty with the least error still lets noise in.

found = so.cross_validate(problem, penalties, folds=10)
plot_cross_validation(found)

# %%
for choice in (found.solution, found.one_standard_error_solution):
    print(f"{choice.support.size} columns, {np.count_nonzero(choice.support >= 10)} of them noise")

# %%
# An information criterion needs one path only.

criteria = so.information_criteria(found.path, loss)
print(criteria)

# %%
# On random halves of the patients, which columns enter again and again? The path ends where a half
# selects some ten columns, so that the bound on wrong ones is small.

stable = so.stability_selection(problem, penalties[:12], pairs=25, threshold=0.9)
plot_stability(stable, names)

# %%
print([names[j] for j in stable.support])
print(f"at most {stable.unimodal_error_bound:.2f} of them are expected to be noise")
