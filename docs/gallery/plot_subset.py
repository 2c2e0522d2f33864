"""
The best columns, at most k of them
===================================

An L0 constraint asks for at most k nonzero coefficients.
The support is a mask; applied to a linear regression it throws the other columns away.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import sparseopt as so
from sparseopt.adapters.sklearn import apply
from sparseopt.plotting import COLOURS

data = load_diabetes()
X = PolynomialFeatures(2, include_bias=False).fit_transform(data.data)
X, X_test, y, y_test = train_test_split(StandardScaler().fit_transform(X), data.target, random_state=0, test_size=0.5)

# %%
# One solution for each k.

loss = so.LeastSquares(X, y, intercept=True)
sizes = range(1, 21)
solutions = so.path(so.Problem(loss), [so.Cardinality(k) for k in sizes])

# %%
# Each support becomes a mask, and each mask a linear regression on the columns that it keeps.

full = LinearRegression().fit(X, y)
masked = [apply(so.Mask.of(solution, "coef_"), full, X, y) for solution in solutions]


def test_error(model):
    return np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2))


_, axes = plt.subplots(layout="constrained")
axes.plot(sizes, [test_error(model) for model in masked], marker="o", color=COLOURS[0])
axes.axhline(test_error(full), color=COLOURS[1], linestyle="--")
axes.annotate("all 65 columns", (20, test_error(full)), ha="right", va="bottom")
axes.set_xlabel("columns kept")
axes.set_ylabel("test error")

# %%
# What is proven of the one with eight columns: no exchange of two columns improves it, which is less than best.

print(solutions[7])
print(solutions[7].certificate.summary)
