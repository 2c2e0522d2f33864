"""scikit-learn's coordinate descent, on X or on its Gram matrix."""

from benchopt import BaseSolver
from sklearn.linear_model import Lasso


class Solver(BaseSolver):
    """`tol` is a duality gap relative to |y|**2."""

    name = "scikit-learn"
    sampling_strategy = "tolerance"
    requirements = ["pip::scikit-learn"]
    parameters = {"gram": [False, True]}

    def skip(self, X, y, alpha):
        if self.gram and X.shape[1] > X.shape[0]:
            return True, "a Gram matrix larger than X"
        return False, None

    def set_objective(self, X, y, alpha):
        self.X, self.y, self.alpha = X, y, alpha

    def run(self, tolerance):
        model = Lasso(
            self.alpha, fit_intercept=False, precompute=self.gram, tol=min(tolerance, 1.0), max_iter=1_000_000
        )
        self.w = model.fit(self.X, self.y).coef_

    def get_result(self):
        return {"w": self.w}
