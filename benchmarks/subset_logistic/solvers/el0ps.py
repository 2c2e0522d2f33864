"""El0ps (Guyard et al., 2024): with the bound, and with the ridge alone."""

import numpy as np
from el0ps.datafit import Logistic
from el0ps.penalty import BigmL2norm, L2norm
from el0ps.solver import BnbSolver

from benchmarks.subset_exact.exact import LIMIT
from benchmarks.subset_logistic.labelled import LabelledSolver


class Solver(LabelledSolver):
    """It returns no gap: it says whether it closed the one that was asked for."""

    name = "el0ps"
    requirements = ["pip::el0ps"]
    parameters = {"form": ["price", "price and bound"]}
    parameter_template = "{form}"

    def prove(self, problem, gap):
        penalty = L2norm(problem.l2) if self.form == "price" else BigmL2norm(problem.M, problem.l2)
        found = BnbSolver(time_limit=LIMIT, relative_gap=gap).solve(Logistic(problem.y), penalty, problem.X, problem.l0)
        closed = "optimal" in str(found.status).lower()
        return np.asarray(found.x), gap if closed else np.nan, found.iter_count
