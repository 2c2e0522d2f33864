"""Abess (Zhu et al., 2022): splicing, with the same ridge; no proof."""

import numpy as np
from abess import LogisticRegression

from benchmarks.subset_logistic.labelled import LabelledSolver


class Solver(LabelledSolver):
    """Its ridge is alpha |w|**2 beside a sum over samples."""

    name = "abess"
    requirements = ["pip::abess"]

    def prove(self, problem, gap):
        labels = (problem.y > 0.0).astype(int)
        model = LogisticRegression(support_size=problem.k, fit_intercept=False, alpha=problem.l2).fit(problem.X, labels)
        return np.asarray(model.coef_).ravel(), np.nan, 0
