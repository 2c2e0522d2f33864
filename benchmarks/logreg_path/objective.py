"""A path of 100 logistic regressions, mean log(1 + exp(-y X w)) + alpha |w|_1, alpha from alpha_max down, evenly in the logarithm."""

from benchmarks.bounds import logistic_gaps
from benchmarks.grammar import PathObjective
from benchmarks.logreg_l1 import objective


class Objective(PathObjective):
    """A path of 100 logistic regressions to a common relative duality gap at the worst of its points."""

    name = "L1 logistic path"
    of_classes = True
    parameters = {"alpha_max_over": [10, 30]}
    targets = (1e-6, 1e-3, 1e-2)

    as_target = objective.Objective.as_target
    largest_alpha = objective.Objective.largest_alpha
    grade = objective.Objective.grade

    def grades(self, W, alphas):
        return logistic_gaps(self.X, self.y, W, alphas)
