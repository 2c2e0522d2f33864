"""The grammar of a suite: benchopt's classes, with what ours share said once.

A suite is a folder with `objective.py`, `datasets/` and `solvers/`. Each file holds one class,
`Objective`, `Dataset` or `Solver`; several instances of it come from its `parameters`.
"""

import itertools
from abc import abstractmethod
from types import SimpleNamespace

import numpy as np
from benchopt import BaseDataset, BaseObjective, BaseSolver

from benchmarks.measure import cpu_seconds


def decades(first, last, steps=2):
    """Tolerances 10**-first ... 10**-last, so many a decade."""
    return tuple(10 ** (-k / steps) for k in range(first * steps, last * steps + 1))


def towards(problem, points):
    """The alpha of a problem alone, or so many of them from alpha_max down to it."""
    return np.array([problem.alpha]) if points == 1 else np.geomspace(problem.alpha_max, problem.alpha, points)


class GradedObjective(BaseObjective):
    """What every solver is graded by, computed from the data and its w alone, in float64."""

    url = "https://github.com/sparseopt/sparseopt"
    min_benchopt_version = "1.7"
    sampling_strategy = "tolerance"
    test_dataset_name = "Correlated"
    parameters = {"alpha_max_over": [10, 30, 100]}
    #: The key of `evaluate_result` that solvers are tuned to, and the levels that count.
    measure = "relative_gap"
    targets = (1e-6,)
    #: Whether y is classes, so that files with the other kind of target are left out; None where both are taken.
    of_classes = None

    def skip(self, X, y, has_classes=None, **rest):
        if None in (has_classes, self.of_classes) or has_classes == self.of_classes:
            return False, None
        return True, "its target is classes" if has_classes else "its target is numbers, not classes"

    def set_data(self, X, y, has_classes=None, **rest):
        self.X, self.y, self.rest = X, self.as_target(y), rest
        self.alpha_max = self.largest_alpha()
        self.alpha = self.alpha_max / self.alpha_max_over

    def as_target(self, y):
        """The y of the problem."""
        return y

    @abstractmethod
    def largest_alpha(self):
        """The least alpha whose solution is zero."""

    @abstractmethod
    def grade(self, w, alpha):
        """Value of the objective at w, and the measure."""

    def get_objective(self):
        return {"X": self.X, "y": self.y, "alpha": self.alpha, "alpha_max": self.alpha_max, **self.rest}

    def get_one_result(self):
        return {"w": np.zeros(self.X.shape[1])}

    def evaluate_result(self, w):
        w = np.asarray(w, dtype=np.float64)
        value, measured = self.grade(w, self.alpha)
        return {"value": value, self.measure: measured, "support_size": int(np.count_nonzero(w))}


class PathObjective(GradedObjective):
    """The same for a path from alpha_max down to alpha: its measure is the worst of all points."""

    points = 100

    @property
    def alphas(self):
        return np.geomspace(self.alpha_max, self.alpha, self.points)

    def get_objective(self):
        path = {"alpha": self.alpha, "alpha_max": self.alpha_max, "alphas": self.alphas}
        return {"X": self.X, "y": self.y, **path, **self.rest}

    def get_one_result(self):
        return {"w": np.zeros((self.points, self.X.shape[1]))}

    def grades(self, W, alphas):
        """The grade of each point."""
        return [self.grade(w, alpha) for w, alpha in zip(W, alphas, strict=True)]

    def evaluate_result(self, w):
        w = np.asarray(w, dtype=np.float64)
        grades = self.grades(w, self.alphas[: len(w)])
        # a path that ended early reaches nothing
        worst = max(measured for _, measured in grades) if len(grades) == self.points else np.inf
        return {"value": grades[-1][0], self.measure: worst, "support_size": int(np.count_nonzero(w[-1]))}


class LevelledDataset(BaseDataset):
    """Data, and the parts of alpha_max at which our runner looks at them."""

    #: An attribute of the class or one of its parameters, which no attribute of this class may hide.
    levels: tuple
    test_parameters = {}


class TunedSolver(BaseSolver):
    """A solver that is run from zero at one tolerance after another; a subclass has `fit` and, maybe, `rejects`."""

    sampling_strategy = "tolerance"
    #: Whether it only runs where asked for: a plain variant of ours, or a peer that is slower by far.
    is_extra = False
    #: Whether it has nothing to compile or start when it is first called, which may be tried in a fork then.
    is_compiled = False
    #: What it is tuned by, from loose to tight, in its own unit.
    tolerances = decades(2, 16)
    #: CPU seconds of the last run, where it was in a process of the solver's own.
    own_seconds = None

    @abstractmethod
    def fit(self, problem, tolerance):
        """The coefficients that the solver returns at this tolerance."""

    def rejects(self, problem):
        """Why it cannot take this problem, or None."""
        return

    def skip(self, **problem):
        reason = self.rejects(SimpleNamespace(**problem))
        return reason is not None, reason

    def set_objective(self, **problem):
        self.problem = SimpleNamespace(**problem)

    def warm_up(self):
        self.run(self.tolerances[0])

    def run(self, tolerance):
        # benchopt starts with a tolerance of its own that some solvers refuse
        self.w = self.fit(self.problem, min(tolerance, self.tolerances[0]))

    def timed_run(self, tolerance):
        """CPU seconds of a run."""
        seconds = cpu_seconds(lambda: self.run(tolerance))
        return seconds if self.own_seconds is None else self.own_seconds

    def get_result(self):
        return {"w": self.w}


def instances(cls, small=False):
    """One instance for each combination of the class's parameters; small ones are those that benchopt tests."""
    parameters = {**cls.parameters, **(cls.test_parameters if small else {})}
    for chosen in itertools.product(*parameters.values()):
        given = {}
        for names, values in zip(parameters, chosen, strict=True):
            # "a, b": [(1, 2), (3, 4)] gives two parameters together
            parts = names.split(", ")
            given |= dict(zip(parts, values if len(parts) > 1 else (values,), strict=True))
        yield cls.get_instance(**given)
