"""Our entries: a suite says how its problem is built, and which names of sparseopt it needs."""

from abc import abstractmethod

import numpy as np
import sparseopt

from benchmarks.grammar import TunedSolver, decades

# More iterations than any of our solvers needs: tolerances end the runs.
LIMIT = 1_000_000
# The two methods of one solver, by the names that others give them.
GRADIENT = {"FISTA": {}, "ISTA": {"accelerated": False}}


class OurSolver(TunedSolver):
    """`sparseopt.solve`; the problem is built on the clock, since that is where the data is checked."""

    name = "sparseopt"
    requirements = ["pip::sparseopt"]
    parameters = {"method": ["default"]}
    parameter_template = "{method}"
    tolerances = decades(2, 12)
    #: Names that this version of sparseopt must have.
    needs = ()

    @property
    def is_extra(self):
        return self.method != "default"

    @abstractmethod
    def build(self, problem):
        """The `Problem` at problem.alpha."""

    def needed(self, problem):
        """Names that this problem needs."""
        return self.needs

    def method_options(self):
        """The solver to be given to `solve`; None leaves the choice to it."""
        if self.method == "default":
            return None
        if self.method in GRADIENT:
            return sparseopt.ProximalGradient(**GRADIENT[self.method])
        return vars(sparseopt)[self.method]()

    def rejects(self, problem):
        named = () if self.method in {"default", *GRADIENT} else (self.method,)
        missing = [name for name in (*self.needed(problem), *named) if name not in vars(sparseopt)]
        return f"sparseopt has no {', '.join(missing)} yet" if missing else None

    def fit(self, problem, tolerance):
        return sparseopt.solve(self.build(problem), self.method_options(), tol=tolerance, max_iter=LIMIT).w


class OurPath(OurSolver):
    """`sparseopt.path`; a suite says how the penalty is made from alpha."""

    @abstractmethod
    def build(self, problem):
        """The `Problem` at problem.alphas[0]."""

    @abstractmethod
    def penalty(self, problem, alpha):
        """The penalty at one strength."""

    def fit(self, problem, tolerance):
        penalties = [self.penalty(problem, alpha) for alpha in problem.alphas]
        found = sparseopt.path(self.build(problem), penalties, self.method_options(), tol=tolerance, max_iter=LIMIT)
        return np.asarray(found.w)
