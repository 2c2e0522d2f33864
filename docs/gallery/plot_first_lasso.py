"""
A first lasso with a proof
==========================

Which of the ten measurements of the diabetes study, and of their products, tell how the disease goes on?
The lasso answers with few of them, and the certificate says how good the answer is.
"""

from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import sparseopt as so
from sparseopt.plotting import plot_path

# %%
# The data: 442 patients, ten columns, and all products of two.

data = load_diabetes()
products = PolynomialFeatures(2, include_bias=False)
X = StandardScaler().fit_transform(products.fit_transform(data.data))
names = products.get_feature_names_out(data.feature_names)

# %%
# A problem is a loss, a penalty and perhaps a constraint.
# ``alpha_max`` is the least penalty that gives zero; a tenth of it leaves a handful of columns.

loss = so.LeastSquares(X, data.target, intercept=True)
problem = so.Problem(loss, so.L1(0.1 * so.alpha_max(loss)))
solution = so.solve(problem)
print(solution)
print([str(names[j]) for j in solution.support])

# %%
# A whole path of penalties, each run started from the solution before it.

path = so.path(problem, [so.L1(alpha) for alpha in so.alpha_grid(loss, 30)])
plot_path(path, names)

# %%
# What is proven: no coefficients whatever have an objective below ``lower_bound``.
# It was computed after the run, from the data and the coefficients alone.

certificate = solution.certificate
print(f"objective   {certificate.objective:.6f}")
print(f"lower bound {certificate.lower_bound:.6f}")
print(certificate.summary)
