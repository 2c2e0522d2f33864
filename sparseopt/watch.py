"""When a run has converged, or goes on for ever: looks at what is proven, as rarely as that needs them."""

from __future__ import annotations

import numpy as np

from sparseopt.losses.samples import slope_at_zero
from sparseopt.programs.constraint_rows import has_rows
from sparseopt.proofs.duality import knows_dual
from sparseopt.proofs.examination import examine, size_at_zero
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.proofs.separation import separation
from sparseopt.solution import Status

# A residual this small, relative to the slope at zero, is rounding: no step will improve on it.
_ROUNDING = 8.0
_EPS = {kind: float(np.finfo(kind).eps) for kind in (np.float32, np.float64)}
# Looks at a float64 point whose residual is rounding in the float32 of the data, before the run has stalled.
_WIDE_LOOKS = 5
# Part of the slope at zero to which the residual must fall before the gap is looked at first.
_FIRST_LOOK = 0.03
# Chunks of work before w is looked at as a way out first; a power of two, as the later ones are.
_FIRST_CHUNKS = 2
# Chunks after which nobody waits for the rest of a fall that has no end; a power of two as well.
_MANY_CHUNKS = 256
# Part of the objective at zero that is little.
_LITTLE = 1e-3


class Watch:
    """Decides when a run has converged, looking at the gap only when the residual promises it.

    A look costs about as much as two products with X. After one, the residual has to fall in
    proportion to the gap that is still missing before the next.
    """

    def __init__(self, problem, solver, tol):
        self.problem, self.tol, self.gap = problem, tol, np.inf
        # residuals of rows are absolute, also where a support is chosen under them
        self.is_blind = solver.judges_itself or needs_multipliers(problem) or has_rows(problem)
        if self.is_blind:
            self.goal = tol
            return
        self.scale = float(np.maximum.reduce(np.abs(slope_at_zero(problem.loss)), initial=0.0))
        self.rounding = _ROUNDING * _EPS[problem.dtype.type] * self.scale
        self.at_zero = size_at_zero(problem)
        self.has_dual = knows_dual(problem)
        self.goal = (_FIRST_LOOK if self.has_dual else tol) * self.scale
        self.next_look, self.wide_looks = 0, 0
        # chunks of work so far, and the support with which the way had no end at the last look
        self.chunks, self.separating = 0, None

    def judge(self, state):
        """CONVERGED, STALLED, or None to go on."""
        if self.is_blind:
            return None
        is_rounding = state.residual <= self.rounding
        if not self.has_dual and state.residual <= max(self.tol * self.scale, self.rounding):
            return Status.CONVERGED
        if state.residual == np.inf:
            return None
        if not self.has_dual:
            return Status.STALLED if self._goes_on_for_ever(state) else None
        if state.slope is None and state.residual > self.goal and state.iterations < self.next_look:
            return None
        if self.is_met(state):
            return Status.CONVERGED
        if is_rounding:
            self.wide_looks += 1
            if not self.is_wide(state) or self.wide_looks > _WIDE_LOOKS:
                return Status.STALLED
        self.next_look = state.iterations + max(1, state.iterations // 4)
        self.goal = min(self.goal, state.residual) * float(np.clip(0.5 * self.tol / max(self.gap, self.tol), 0.01, 0.5))
        return None

    def is_met(self, state, *, is_last=False):
        """Whether the gap is within the tolerance, looked at now; False where only a solver can say."""
        if self.is_blind or not self.has_dual:
            return False
        # the point that would be returned, which is rounded where the data is float32 and that is enough
        is_met = self._meets(self._point(state))
        if not is_met and self.is_wide(state) and (is_last or state.residual <= self.rounding):
            is_met = state.is_wide = self._meets(state.w)
        return is_met

    def is_wide(self, state):
        """Whether the point has digits that the data has not."""
        return state.w.dtype == np.float64 != self.problem.dtype

    def _meets(self, w):
        here = examine(self.problem, w)
        reference = max(abs(here.objective), 1e-6 * self.at_zero)
        # outside of the set a point may lie below every bound
        gap = abs(here.objective - here.bound)
        # at the start both the objective and that at zero may be zero
        self.gap = 0.0 if gap == 0.0 else gap / reference if reference > 0.0 else np.inf
        return self.gap <= self.tol and self.problem.violation(w) <= self.tol

    def _point(self, state):
        """The point in the digits of the data."""
        return np.asarray(state.w, dtype=self.problem.dtype).astype(np.float64)

    def _goes_on_for_ever(self, state):
        """Whether the loss falls for ever along w, and did so with the same features after half as many chunks of work.

        It falls by less and less: there is no point to arrive at, and twice as far out little is gained, or steps are slow.
        """
        self.chunks += 1
        if self.chunks < _FIRST_CHUNKS or self.chunks & (self.chunks - 1):
            return False
        w, before = self._point(state), self.separating
        evaluate = self.problem.loss.evaluate
        is_over = self.chunks >= _MANY_CHUNKS // 2 or evaluate(w) - evaluate(2.0 * w) <= _LITTLE * self.at_zero
        self.separating = w != 0.0 if is_over and separation(self.problem, w) else None
        return before is not None and self.separating is not None and np.array_equal(before, self.separating)
