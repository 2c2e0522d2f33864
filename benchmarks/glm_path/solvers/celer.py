"""celer's multi-task path: working sets by dual extrapolation."""

from celer.homotopy import mtl_path

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |Y|**2 / n."""

    name = "celer"
    requirements = ["pip::celer"]

    def rejects(self, problem):
        return None if problem.model == "multi-response" else f"it has no path of {problem.model}"

    def fit(self, problem, tolerance):
        found = mtl_path(problem.X, problem.y, alphas=problem.alphas, tol=tolerance, max_iter=1000)
        return found[1].transpose(2, 1, 0)
