"""A path of 100 lassos, |X w - y|**2 / (2 n) + alpha |w|_1, alpha from alpha_max down, evenly in the logarithm."""

from benchmarks.grammar import PathObjective
from benchmarks.lasso import objective


class Objective(PathObjective):
    """A path of 100 lassos to a common relative duality gap at the worst of its points."""

    name = "Lasso path"
    parameters = {"alpha_max_over": [100]}
    targets = (1e-6, 1e-3, 1e-2)

    as_target = objective.Objective.as_target
    largest_alpha = objective.Objective.largest_alpha
    grade = objective.Objective.grade
