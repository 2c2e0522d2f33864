"""Sequences of large quadratic programs with one factorisation: operator splitting that goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.inputs import as_number
from sparseopt.new_data import with_data
from sparseopt.solution import UnsupportedProblem
from sparseopt.solve import solve
from sparseopt.solvers.base import Solver
from sparseopt.solvers.operator_splitting import OperatorSplitting
from sparseopt.solvers.quadratic.quadratic_program import unfit


class SplittingSequence:
    """A quadratic program whose vectors change, solved again and again by operator splitting.

    Scales, the order of a sparse matrix and its factor are kept, and each solution starts from the last
    iterates. For programs too large for `QuadraticSequence`, or whose answers may be rough.

    Parameters
    ----------
    problem : Problem
        What `OperatorSplitting` takes.
    solver : OperatorSplitting, optional
    tol : float, default 1e-6
        Largest absolute residual.

    Raises
    ------
    UnsupportedProblem
        Where the problem is no convex quadratic program.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import LinearConstraint, Problem, Quadratic, SplittingSequence
    >>> row = LinearConstraint(np.ones((1, 2)), 1.0, 1.0)
    >>> sequence = SplittingSequence(Problem(Quadratic(np.eye(2), [0.0, 0.0]), constraint=row))
    >>> sequence.solve().w.round(6)
    array([0.5, 0.5])
    >>> sequence.update(c=[1.0, 0.0])
    >>> sequence.solve().w.round(6)
    array([0., 1.])
    """

    def __init__(self, problem, solver=None, *, tol=1e-6):
        self._going_on = _GoingOn(solver or OperatorSplitting())
        if reason := self._going_on.rejects(problem):
            raise UnsupportedProblem(f"SplittingSequence: {reason}.")
        self.problem, self.tol = problem, as_number(tol, "tol", least=0.0)

    def update(self, *, c=None, y=None, row_lower=None, row_upper=None, lower=None, upper=None, penalty=None):
        """Give the program other vectors; what is None stays as it is.

        Parameters
        ----------
        c : array of shape (p,), optional
            Linear term of a `Quadratic`.
        y : array of shape (n,), optional
            Targets of a `LeastSquares`.
        row_lower, row_upper : array of shape (m,), optional
            Sides of the rows.
        lower, upper : array of shape (p,), optional
            Bounds of the coefficients.
        penalty : Penalty, optional
            Zero or an L1 term of other weights; a ridge in it must be that of the first problem, which is factorised.
        """
        named = {
            "linear": c, "targets": y, "row_lower": row_lower, "row_upper": row_upper, "lower": lower, "upper": upper,
        }  # fmt: skip
        problem = with_data(self.problem, **{name: vector for name, vector in named.items() if vector is not None})
        if penalty is not None:
            problem = replace(problem, penalty=penalty)
            if reason := unfit(problem):
                raise TypeError(f"SplittingSequence: {reason}.")
            ridges = [convex_form(term, problem.n_features).b for term in (penalty, self.problem.penalty)]
            if not np.array_equal(*ridges):
                raise ValueError(
                    "the ridge of penalty is another one, which needs a factorisation; begin a new sequence."
                )
        self.problem = problem

    def solve(self, *, max_iter=None, time_limit=np.inf):
        """The `Solution` of the program as it stands, certified as that of `solve`."""
        return solve(self.problem, self._going_on, tol=self.tol, max_iter=max_iter, time_limit=time_limit)


@dataclass(frozen=True, eq=False)
class _GoingOn(Solver):
    """Operator splitting whose runs begin where the last one ended."""

    solver: OperatorSplitting
    kept: list = field(default_factory=list)

    def rejects(self, problem):
        # its matrices have been looked at
        return None if self.kept else self.solver.rejects(problem)

    def init(self, problem, w):
        state = self.solver.resume(problem, self.kept[-1]) if self.kept else self.solver.init(problem, w)
        self.kept[:] = [state]
        return state

    def step(self, problem, state, tol, max_iterations):
        return self.solver.step(problem, state, tol, max_iterations)

    def __repr__(self):
        return repr(self.solver)
