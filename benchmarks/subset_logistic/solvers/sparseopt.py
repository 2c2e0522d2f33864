"""Ours: at most k features, with the proof and without."""

from sparseopt import BranchAndBound, Cardinality, LocalSearch, Logistic, Problem, Ridged, Zero, solve

from benchmarks.subset_exact.exact import LIMIT
from benchmarks.subset_logistic.labelled import LabelledSolver


class Solver(LabelledSolver):
    """The loss has the scale 1 / n."""

    name = "sparseopt"
    parameters = {"solver": ["BranchAndBound", "LocalSearch"]}
    parameter_template = "{solver}"

    def prove(self, problem, gap):
        ridge = 2.0 * problem.l2 / len(problem.y)
        asked = Problem(Logistic(problem.X, problem.y), Ridged(Zero(), ridge), Cardinality(problem.k))
        chosen = BranchAndBound() if self.solver == "BranchAndBound" else LocalSearch()
        found = solve(asked, chosen, tol=gap, max_iter=10**9, time_limit=LIMIT)
        return found.w, found.certificate.relative_gap, found.iterations
