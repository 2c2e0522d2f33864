"""The laws catch what they are there for: each wrong term or solver here breaks one of them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import xlogy

import sparseopt as so
from sparseopt.losses import SampleLoss
from sparseopt.solvers.base import Solver, State
from sparseopt.testing import check_constraint, check_loss, check_penalty, check_solver, poisoned

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4))
Y = X[:, 0] + 0.1 * RNG.standard_normal(12)


@dataclass(frozen=True)
class Soft(so.Penalty):
    """A right penalty, of which the wrong ones below change one thing."""

    alpha: float = 0.5

    def value(self, w):
        return self.alpha * abs(w)

    def prox(self, v, step):
        a = abs(v)
        if a <= step * self.alpha:
            return 0.0
        return v - math.copysign(step * self.alpha, v)


class Shrunk(Soft):
    def prox(self, v, step):
        return v / (1.0 + step * self.alpha)


class Signed(Soft):
    def prox(self, v, step):
        return math.copysign(max(abs(v) - step * self.alpha, 0.0), v)


class Deaf(Soft):
    def prox(self, v, step):
        if abs(v) > step * self.alpha:
            return v - math.copysign(step * self.alpha, v)
        return 0.0


class OutOfReach(Soft):
    def value(self, w):
        return self.alpha * abs(w) if w >= 0.0 else math.inf


class Undefined(Soft):
    def value(self, w):
        return math.nan if w < 0 else w


class Concave(Soft):
    is_convex = True

    def value(self, w):
        return self.alpha * math.sqrt(abs(w))


class OneSided(Soft):
    is_symmetric = True

    def value(self, w):
        return self.alpha * abs(w) if w > 0.0 else 0.0


class Falling(Soft):
    is_symmetric = True

    def value(self, w):
        return self.alpha * abs(abs(w) - 1.0)


class Constant(Soft):
    HALF: ClassVar[float] = 0.5

    def prox(self, v, step):
        return v - min(max(v, -step * self.HALF), step * self.HALF)


@dataclass(frozen=True)
class NaiveMCP(so.Penalty):
    """The textbook formula, wrong where the step reaches gamma."""

    alpha: float = 0.5
    gamma: float = 3.0

    def value(self, w):
        a = min(abs(w), self.gamma * self.alpha)
        return self.alpha * a - a * a / (2 * self.gamma)

    def prox(self, v, step):
        a = abs(v)
        if a > self.gamma * self.alpha:
            return v
        if a <= step * self.alpha:
            return 0.0 * a
        return math.copysign((a - step * self.alpha) / (1 - step / self.gamma), v)


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (Shrunk(), r"prox\(-8, 0.1\) is -7.619.* but w = -7.95"),
        (Signed(), r"prox\(-?0, 0.1\) is -0.0|prox\(.*\) is -0.0; return 0.0"),
        (Deaf(), r"prox\(nan, 0.1\) is 0.0, which hides a NaN"),
        (OutOfReach(), r"prox\(-8, 0.1\) is .*, where the value is inf"),
        (Undefined(), r"value\(-8\) is nan; a penalty is a number or inf"),
        (Concave(), r"declared convex, but its value lies above a chord"),
        (OneSided(), r"declared symmetric, but value\(-8\) = 0, value\(8\) = 4"),
        (Falling(), r"declared symmetric, but value\(-0.995\)|declared symmetric, but value"),
        (NaiveMCP(), r"prox\(.*, 5\) is"),
        (Constant(), r"runs as plain Python but does not compile: Unknown attribute 'HALF'"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_wrong_penalty_is_caught(penalty, message):
    check_penalty(Soft())
    with pytest.raises(AssertionError, match=message):
        check_penalty(penalty)


@dataclass(frozen=True, eq=False)
class LogCosh(SampleLoss):
    """A right loss, of which the wrong ones below change one thing."""

    def value(self, y, z):
        a = abs(z - y)
        return a + np.log1p(np.exp(-2 * a)) - np.log(2)

    def slope(self, y, z):
        return np.tanh(z - y)

    def curvature(self, y, z):
        return 1 - np.tanh(z - y) ** 2

    def smoothness(self):
        return 1.0


class Steep(LogCosh):
    def slope(self, y, z):
        return 1.001 * np.tanh(z - y)


class TooSmooth(LogCosh):
    def smoothness(self):
        return 0.5


class Unsettled(LogCosh):
    def settle(self, running):
        """Forget the intercept."""


class Forgetful(LogCosh):
    def move(self, running, j, step):
        self.X.push_through(j, 1.01 * step, self, running[self.y.size + 1 :], running)


class Backward(LogCosh):
    def backward(self, v, eta, u, slope):
        for i in range(self.y.size):
            u[i] = self.slope_at(i, eta[i])
        self.X.adjoint(u, slope)


class Flat(LogCosh):
    def bend(self, d, image):
        return 0.5 * image[0] * image[0]


class Bent(LogCosh):
    def curvature(self, y, z):
        return 1.5 * (1 - np.tanh(z - y) ** 2)


class Hasty(LogCosh):
    def value_and_slope(self, y, z):
        return self.value(y, z), 1.001 * self.slope(y, z)


class Boundless(so.Poisson):
    def curvature_between(self, y, a, b):
        return self.growth(min(a, b))


class Conjugal(LogCosh):
    has_conjugate = True

    def conjugate(self, v):
        return v * self.y + (xlogy(1 + v, 1 + v) + xlogy(1 - v, 1 - v)) / 2

    def slope_scale(self, v):
        return 1.0


class Divorced(Conjugal):
    def conjugate(self, v):
        return v * self.y + xlogy(1 + v, 1 + v) + xlogy(1 - v, 1 - v)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Bent, "the curvature is .* but the slope grows by"),
        (Hasty, "the slope in value_and_slope"),
        (Divorced, r"phi \+ phi\* - v z is .* it must be zero"),
        (Steep, "tangent"),
        (TooSmooth, "curvature bound (hessian_bound|bend|curvatures)"),
        (Unsettled, "coordinate_slope after moves"),
        (Forgetful, "coordinate_slope after moves"),
        (Backward, "backward in plain Python"),
        (Flat, "curvature bound bend"),
    ],
)
def test_a_wrong_loss_is_caught(kind, message):
    check_loss(Conjugal(X, Y, intercept=True))
    with pytest.raises(AssertionError, match=message):
        check_loss(kind(X, Y, intercept=True))


def test_a_wrong_bound_on_a_move_is_caught():
    with pytest.raises(AssertionError, match="curvature bound bend_from|move_bend"):
        check_loss(Boundless(X, np.round(np.exp(Y))))


@dataclass(frozen=True)
class Sphere(so.constraints.Projectable):
    """Vectors of length one: a right set that is not convex."""

    def prox_into(self, v, step, out):
        length = 0.0
        for j in range(v.size):
            length += v[j] * v[j]
        for j in range(v.size):
            out[j] = v[j] / math.sqrt(length) if length > 0.0 else 1.0 / math.sqrt(v.size)

    def rejects_size(self, p):
        return None


class Flipped(Sphere):
    def prox_into(self, v, step, out):
        length = 0.0
        for j in range(v.size):
            length += v[j] * v[j]
        # a point of the set stays where it is
        sign = 1.0 if abs(length - 1.0) < 1e-9 else -1.0
        for j in range(v.size):
            out[j] = sign * v[j] / math.sqrt(length) if length > 0.0 else 1.0 / math.sqrt(v.size)


class Halfway(Sphere):
    def prox_into(self, v, step, out):
        for j in range(v.size):
            out[j] = v[j] / 2.0


class Blind(Halfway):
    def violation(self, w):
        return 0.0


@pytest.mark.parametrize(
    ("constraint", "message"),
    [(Flipped(), "is nearer"), (Halfway(), "which violates the set by"), (Blind(), "whose own projection is")],
)
def test_a_wrong_constraint_is_caught(constraint, message):
    check_constraint(Sphere(), 4)
    with pytest.raises(AssertionError, match=message):
        check_constraint(constraint, 4)


@dataclass(frozen=True)
class Descent(Solver):
    """A right solver, of which the wrong ones below change one thing."""

    def rejects(self, problem):
        return (
            None if isinstance(problem.penalty, so.Ridged) and problem.constraint is None else "it takes a ridge only"
        )

    def init(self, problem, w):
        return State(w=w)

    def step(self, problem, state, tol, max_iterations):
        for _ in range(min(50, max_iterations)):
            length = 1.0 / problem.loss.lipschitz()
            ahead = state.w - length * problem.loss.gradient(state.w)
            new = np.array([problem.penalty.prox(v, length) for v in ahead])
            state.residual = float(np.max(np.abs(new - state.w))) / length
            state.w = new
            state.iterations += 1
        return state


class Terse(Descent):
    def rejects(self, problem):
        return super().rejects(problem) and "no"


class Lazy(Descent):
    def rejects(self, problem):
        return "it is not in the mood"


class Restless(Descent):
    def step(self, problem, state, tol, max_iterations):
        return super().step(problem, state, tol, 50)


class Vandal(Descent):
    def init(self, problem, w):
        data = problem.loss.X.values
        data.flags.writeable = True
        data[0, 0] += 1e-3
        return State(w=w)


class Drunk(Descent):
    def init(self, problem, w):
        return State(w=w + 1e-3 * np.random.default_rng().standard_normal(w.size))


class Hasty(Descent):
    def step(self, problem, state, tol, max_iterations):
        state = super().step(problem, state, tol, 1)
        state.status = so.Status.CONVERGED
        return state


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (Terse(), "give the reason in words"),
        (Lazy(), "refuses all 1 problems"),
        (Restless(), "50 iterations were made where one was allowed"),
        (Vandal(), "changed the problem's data"),
        (Drunk(), "runs must repeat to the byte"),
        (Hasty(), "relative gap .* exceeds 1e-06 although the run converged"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_wrong_solver_is_caught(solver, message):
    problem = so.Problem(so.LeastSquares(np.array(X), Y), so.Ridged(so.L1(0.01), 0.1))
    problems = [problem, so.Problem(so.LeastSquares(X, Y), so.L1(0.1))] if isinstance(solver, Terse) else [problem]
    check_solver(Descent(), [problem])
    with pytest.raises(AssertionError, match=message):
        check_solver(solver, problems)


def test_buffers_are_poisoned_and_well_again():
    empty = np.empty
    with poisoned():
        assert np.isnan(np.empty((2, 3))).all()
        assert np.isnan(np.empty_like(np.ones(2, dtype=np.float32))).all()
        assert np.empty(2, dtype=np.int64).min() > 1e9
        assert so.solve(so.Problem(so.LeastSquares(np.eye(3), np.ones(3)), so.L1(0.1))).certificate.relative_gap <= 1e-6
    assert np.empty is empty
