"""Least squares on few features: all of them at once, on their Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.conjugates import convex_form, l1_arrays
from sparseopt.designs import CSC, CenteredDense, Dense, held_curvature
from sparseopt.forms import SeparableForm
from sparseopt.kernels.gram_newton import minimise_on_gram
from sparseopt.losses import LeastSquares
from sparseopt.losses.first_look import has_few_features
from sparseopt.losses.samples import Uniform
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.working_set import WorkingSet

# Epochs of one call of the kernel: most are one coordinate and the Newton steps after it.
_EPOCHS = 1000
# Part of the largest slope at zero at which moves are over, which Newton steps reach at once; and from one call to the next.
_FINE, _FINER = 3e-12, 1e-2
# Rounding of a slope, relative to the largest.
_LOST = 16 * float(np.finfo(np.float64).eps)
# Multiplications of a Gram matrix that loops do sooner than a call of BLAS.
_PRODUCTS = 200_000
# What the kernel gets in place of X and its means where the Gram matrix is there.
_NOTHING = np.empty((2, 2), order="F"), np.empty(2)
# Entries of a sparse X, zeros counted, up to which its Gram matrix takes less time than choosing a working set.
_IN_FULL = 200_000
# Calls after which the working set has the rest.
_PATIENCE = 10
# Roundings of its mean by which the entries of a constant column may seem to differ.
_REAL = 16.0


@dataclass
class GramState(State):
    """State with the Gram matrix, and below it memory for the kernel, once they are there."""

    memory: np.ndarray | None = None
    form: SeparableForm | None = None
    goal: float = 0.0
    calls: int = 0
    newton_steps: int = 0
    #: Once this makes no progress, another solver has the rest.
    rest: State | None = None

    def account(self):
        if self.rest is not None:
            return f"handed over to WorkingSet: {self.rest.account()}"
        return account_of(self.w.size, self.iterations, self.newton_steps)


@dataclass(frozen=True, kw_only=True)
class GramDescent(Solver):
    """Coordinate descent on the Gram matrix of all features, with Newton steps, for convex separable penalties.

    One call of a kernel goes to the minimum: an epoch costs no more than p**2, and where no sign changes, or
    where epochs have cost as much, Newton steps on the nonzero coordinates end the run (Friedman et al., 2010).
    The next call begins with slopes from X itself, which mends what the Gram matrix has lost by rounding.
    """

    def rejects(self, problem):
        loss = problem.loss
        if type(loss) is not LeastSquares:
            return f"it keeps a Gram matrix, which {type(loss).__name__} has not"
        if type(loss.X) not in (Dense, CenteredDense, CSC) or loss.dtype != np.float64:
            return "it needs X in float64, dense, or sparse without an intercept"
        if not has_few_features(*loss.X.shape):
            return "it takes at most 100 features, or 200 of so few samples that their products are soon formed"
        if type(loss.X) is CSC and loss.X.n_rows * loss.X.shape[1] > _IN_FULL:
            return f"it makes a sparse X full, and takes at most {_IN_FULL} entries of it, zeros counted"
        term = problem.proximal
        form = None if term is None else convex_form(term, loss.X.shape[1])
        if type(form) is not SeparableForm:
            return "it needs a convex penalty on single coefficients (a Box is one)"
        if form.can_stick:
            return "it needs a penalty or bounds on every coefficient"
        return None

    def init(self, problem, w):
        form = convex_form(problem.proximal, w.size)
        if not form.is_plain:
            np.clip(w, form.lower, form.upper, out=w)
        return GramState(w=w, form=form)

    def step(self, problem, state, tol, max_iterations):
        if state.rest is not None or state.calls == _PATIENCE or (state.calls == 1 and has_held_columns(problem.loss)):
            return self._hand_over(problem, state, tol, max_iterations)
        loss, form, p = problem.loss, state.form, state.w.size
        slope = np.array(loss.gradient(state.w))
        steepest = float(np.maximum.reduce(np.abs(slope), initial=0.0))
        share, (values, means) = 0.0, _NOTHING
        if state.memory is None:
            at_zero = loss.gradient(np.zeros(p)) if state.w.any() else slope
            state.goal = _FINE * float(np.maximum.reduce(np.abs(at_zero), initial=0.0))
            state.memory = np.empty((2 * p + 4, p))
            if loss.little is not None and loss.y.size * p * p <= _PRODUCTS:
                # the kernel makes it sooner than one more call
                (values, means, _, _), share = loss.little, 1.0 / loss.y.size
            else:
                state.memory[:p] = gram_matrix(loss)
        off, epochs, steps = minimise_on_gram(
            values, means, share, state.memory[:p], form.a, form.b, form.lower, form.upper, state.w, slope,
            state.memory[p:], np.empty(p, dtype=np.uint64), min(_EPOCHS, max_iterations), state.goal, 0.0,
        )  # fmt: skip
        # what rounding may have done to the slopes, of which the kernel knows nothing; the next call mends it
        state.residual = max(off, _LOST * steepest)
        state.iterations += epochs
        state.newton_steps += steps
        state.calls += 1
        state.goal *= _FINER
        return state

    def _hand_over(self, problem, state, tol, max_iterations):
        if state.rest is None:
            state.rest = WorkingSet().init(problem, state.w)
        state.rest = done = WorkingSet().step(problem, state.rest, tol, max_iterations)
        state.w, state.residual, state.slope = done.w, done.residual, done.slope
        state.iterations += 1
        return state


def has_held_columns(loss):
    """Whether centring leaves a column so little that its curvature is held up, though it is more than rounding.

    The minimum on such a Gram matrix is a short step for that column, and the next one as well.
    """
    X = loss.X
    if type(X) is not CenteredDense:
        return False
    held = X.weighted_squares(loss.sample_weight.values) <= held_curvature(np.zeros(X.shape[1]), X.means)
    spread = np.ptp(X.values[:, held], axis=0)
    return bool(np.any(spread > _REAL * np.finfo(np.float64).eps * np.abs(X.means[held])))


def account_of(size, epochs, steps):
    """What a run did, in words."""
    return f"Gram matrix of all {size} features, {epochs} epochs, {steps} Newton steps"


def descend_from_zero(loss, alpha, max_iterations):
    """The first step from zero under alpha |w|, for a little loss: w, epochs and Newton steps."""
    values, means, slopes, _ = loss.little
    n, p = values.shape
    memory = np.empty((2 * p + 6, p))
    w, slope, gram, share = memory[0], memory[1], memory[2 : p + 2], 1.0 / n
    w.fill(0.0)
    slope[:] = slopes
    if n * p * p > _PRODUCTS:
        share, gram[:] = 0.0, gram_matrix(loss)
    _, epochs, steps = minimise_on_gram(
        values, means, share, gram, *l1_arrays(p, alpha), w, slope,
        memory[p + 2 :], np.empty(p, dtype=np.uint64), min(_EPOCHS, max_iterations), 0.0, _FINE,
    )  # fmt: skip
    return w + 0.0, epochs, steps  # a negative zero becomes a zero


def gram_matrix(loss):
    """X'SX of a least squares loss, with X centred where it has an intercept."""
    X, weight = loss.X, loss.sample_weight
    columns = X.values if type(X) is Dense else X.to_array()
    if type(weight) is not Uniform:
        columns = np.sqrt(weight.values)[:, None] * columns
    gram = columns.T @ columns
    if type(weight) is Uniform:
        gram *= weight.values
    if type(X) is CenteredDense:
        diagonal = np.einsum("ii->i", gram)
        diagonal[:] = held_curvature(diagonal, X.means)
    return gram
