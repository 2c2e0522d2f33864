"""celer's path by prox-Newton steps, each point from the one before."""

from celer import celer_path

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to that at zero."""

    name = "celer"
    requirements = ["pip::celer"]
    is_compiled = True

    def fit(self, problem, tolerance):
        # its loss is a sum
        alphas = problem.alphas * problem.y.size
        found = celer_path(problem.X, problem.y, "logreg", alphas=alphas, tol=tolerance, max_iter=1000, use_PN=True)
        return found[1].T
