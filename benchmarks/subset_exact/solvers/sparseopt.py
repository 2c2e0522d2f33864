"""Ours: at most k features; and, for comparison, the form with a price, with and without the bound."""

from sparseopt import L0, Box, BranchAndBound, Cardinality, LeastSquares, Problem, Ridged, Zero, solve

from benchmarks.subset_exact.exact import LIMIT, ExactSolver


class Solver(ExactSolver):
    """The loss has the scale 1 / n."""

    name = "sparseopt"
    parameters = {"form": ["k", "price", "price and bound"]}
    parameter_template = "{form}"

    @property
    def is_extra(self):
        return self.form != "k"

    def prove(self, problem, gap):
        n = len(problem.y)
        loss, ridge = LeastSquares(problem.X, problem.y), 2.0 * problem.l2 / n
        if self.form == "k":
            asked = Problem(loss, Ridged(Zero(), ridge), Cardinality(problem.k))
        else:
            box = Box(-problem.M, problem.M) if "bound" in self.form else None
            asked = Problem(loss, Ridged(L0(problem.l0 / n), ridge), box)
        found = solve(asked, BranchAndBound(), tol=gap, max_iter=10**9, time_limit=LIMIT)
        return found.w, found.certificate.relative_gap, found.iterations
