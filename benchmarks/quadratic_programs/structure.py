"""The lasso, Huber's regression and support vector machines as the problems that they are, for programs of these kinds.

OSQP's generators state them as quadratic programs with a variable for each sample. Here they are a loss and a penalty,
as users of ours give them. What is found is lifted back to the variables and multipliers of the program, so that its
residuals are those of the same program; its objective is also known as a function of the coefficients alone.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

# Part of the absolute residual that is asked of the relative duality gap, which is what these solvers measure.
PART = 1e-3


@dataclass(frozen=True, eq=False)
class Lasso:
    """min curvature |A x - b|^2 / 2 + alpha |x| from rows A x - y = b, x <= t, -x <= t."""

    A: sparse.csc_matrix
    b: np.ndarray
    curvature: float
    alpha: float

    @classmethod
    def of(cls, program):
        """Read it from a program."""
        n = int(np.count_nonzero(program.q))
        m = program.q.size - 2 * n
        return cls(program.A[:m, :n].tocsc(), program.row_upper[:m], program.P.diagonal()[n], program.q[-1])

    def problem(self):
        """The problem in our terms."""
        import sparseopt as so

        return so.Problem(so.LeastSquares(self.A, self.b), so.L1(self.alpha / (self.curvature * self.b.size)))

    def lower_bound(self, solution):
        """What the certificate proves of the objective of the program."""
        return self.curvature * self.b.size * solution.certificate.lower_bound

    def coefficients(self, solution):
        """x of the program."""
        return solution.w

    def objective(self, x):
        """Objective of the program where all but x is best."""
        return float(self.curvature * np.sum((self.A @ x - self.b) ** 2) / 2 + self.alpha * np.abs(x).sum())

    def lifted(self, solution):
        """Variables of the program, multipliers of its rows and of its bounds."""
        x = solution.w
        y = self.A @ x - self.b
        pull = self.curvature * y
        slope = -(self.A.T @ pull)
        sides = np.maximum(slope + self.alpha, 0.0) / 2, np.minimum(slope - self.alpha, 0.0) / 2
        variables = np.concatenate([x, y, np.abs(x)])
        return variables, np.concatenate([pull, *sides]), np.zeros(variables.size)


@dataclass(frozen=True, eq=False)
class Huber:
    """min the sum of curvature u^2 / 2, and of steep times what is beyond delta, from rows A x - u - r + s = b."""

    A: sparse.csc_matrix
    b: np.ndarray
    curvature: float
    steep: float

    @classmethod
    def of(cls, program):
        """Read it from a program."""
        n = program.q.size - 3 * program.row_upper.size
        return cls(program.A[:, :n].tocsc(), program.row_upper, program.P.diagonal()[n], program.q[-1])

    @property
    def delta(self):
        """Where the square ends."""
        return self.steep / self.curvature

    def problem(self):
        """The problem in our terms."""
        import sparseopt as so

        return so.Problem(so.Huber(self.A, self.b, delta=self.delta))

    def lower_bound(self, solution):
        """What the certificate proves of the objective of the program."""
        return self.curvature * self.b.size * solution.certificate.lower_bound

    def coefficients(self, solution):
        """x of the program."""
        return solution.w

    def objective(self, x):
        """Objective of the program where all but x is best."""
        a = np.abs(self.A @ x - self.b)
        inner = np.minimum(a, self.delta)
        return float(np.sum(self.curvature * inner * (a - inner / 2)))

    def lifted(self, solution):
        """Variables of the program, multipliers of its rows and of its bounds."""
        x, m, delta = solution.w, self.b.size, self.delta
        z = self.A @ x - self.b
        u = np.clip(z, -delta, delta)
        variables = np.concatenate([x, u, np.maximum(z - delta, 0.0), np.maximum(-z - delta, 0.0)])
        pull = self.curvature * u
        bounds = np.minimum(pull - self.steep, 0.0), np.minimum(-self.steep - pull, 0.0)
        return variables, pull, np.concatenate([np.zeros(x.size + m), *bounds])


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """min |x|^2 / 2 + price * the sum of max(1 - G x, 0), from rows G x + t >= 1 or -G x - t <= -1 with t >= 0.

    Solved by its dual, min |G'a|^2 / 2 - sum(a) over 0 <= a <= price with x = G'a. In b = price - a this is least
    squares with the samples of G as features, targets price G'1, an L1 term and a box.
    """

    G: sparse.csc_matrix
    price: float
    sign: float

    @classmethod
    def of(cls, program):
        """Read it from a program."""
        n = program.q.size - program.A.shape[0]
        sign = program.A[0, n]
        return cls(sign * program.A[:, :n].tocsc(), program.q[-1], sign)

    def problem(self):
        """The problem in our terms."""
        import sparseopt as so

        X, n = self.G.T, self.G.shape[1]
        loss = so.LeastSquares(X, self.price * np.asarray(X.sum(axis=1)).ravel())
        return so.Problem(loss, so.L1(1.0 / n), so.Box(0.0, self.price))

    def lower_bound(self, solution):
        """The dual objective, which is below the objective of the program."""
        x = self.coefficients(solution)
        return float(np.sum(self.price - solution.w) - x @ x / 2)

    def coefficients(self, solution):
        """x of the program."""
        return self.G.T @ (self.price - solution.w)

    def objective(self, x):
        """Objective of the program where all but x is best."""
        return float(x @ x / 2 + self.price * np.maximum(1.0 - self.G @ x, 0.0).sum())

    def lifted(self, solution):
        """Variables of the program, multipliers of its rows and of its bounds."""
        x = self.coefficients(solution)
        variables = np.append(x, np.maximum(1.0 - self.G @ x, 0.0))
        return variables, self.sign * (solution.w - self.price), np.append(np.zeros(x.size), -solution.w)


_KINDS = {"lasso": Lasso, "huber": Huber, "support": SupportVectors, "svm": SupportVectors}


def _kind(program):
    return program.name.replace("_", " ").split()[0]


def is_structured(program):
    """Whether the program is one of these, by its name."""
    return _kind(program) in _KINDS


def statement(program):
    """The program as a problem of one of these kinds; a ValueError where it is none."""
    if not is_structured(program):
        raise ValueError(f"{program.name} has no structure that we know")
    return _KINDS[_kind(program)].of(program)


def structured(program, eps):
    """The call and its reading, as those of solvers.py."""
    import sparseopt as so

    stated = statement(program)

    def call():
        return so.solve(stated.problem(), tol=PART * eps)

    def read(solution):
        return solution.status.name in ("CONVERGED", "STALLED"), *stated.lifted(solution)

    return call, read
