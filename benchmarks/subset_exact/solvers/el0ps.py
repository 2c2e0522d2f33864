"""El0ps (Guyard et al., 2024): with the bound, and with the ridge alone."""

import numpy as np
from el0ps.datafit import Leastsquares
from el0ps.penalty import BigmL2norm, L2norm
from el0ps.solver import BnbSolver

from benchmarks.subset_exact.exact import LIMIT, NO_RIDGE, ExactSolver


class Solver(ExactSolver):
    """It returns no gap: it says whether it closed the one that was asked for."""

    name = "el0ps"
    requirements = ["pip::el0ps"]
    parameters = {"form": ["price and bound", "price"]}
    parameter_template = "{form}"

    @property
    def is_extra(self):
        return self.form == "price"

    def rejects(self, problem):
        return NO_RIDGE if problem.l2 == 0.0 else None

    def prove(self, problem, gap):
        penalty = L2norm(problem.l2) if self.form == "price" else BigmL2norm(problem.M, problem.l2)
        solver = BnbSolver(time_limit=LIMIT, relative_gap=gap)
        found = solver.solve(Leastsquares(problem.y), penalty, problem.X, problem.l0)
        closed = "optimal" in str(found.status).lower()
        return np.asarray(found.x), gap if closed else np.nan, found.iter_count
