"""Steps that lower an augmented Lagrangian: to the minimiser of its model, or along its proximal gradient."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.solvers.lagrangian.lagrangian_state import differentiate, look
from sparseopt.solvers.lagrangian.newton_models import curvature_of, model_minimiser

# Of the fall that the model promises, the part that has to be seen.
_SUFFICIENT = 1e-4
_HALVINGS = 30
# Relative error that sums of the user's functions may come with.
_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)
# Steps that rounding hides, one after the other; the fall promised by them, in units of rounding.
_FLAT, _HIDDEN = 6, 1e3
# Heights that a proximal step is compared with (Grippo, Lampariello and Lucidi, 1986).
_MEMORY = 5
# Residual of the model, over that of the problem.
_MODEL = 0.01


def move(problem, state, slope, residual):
    """Take a step that lowers the augmented Lagrangian enough, whose slope is given; False where none is found."""
    w, term = state.here.w, state.term
    piece = term.piece(w)
    if piece is None:
        return _move_by_model(problem, state, slope, residual) or _move_by_prox(problem, state, slope)
    if term.has_supports:
        z = term.prox(w - state.prox_step * slope, state.prox_step)
        if np.any((z != 0.0) != (w != 0.0)) and _change_support(problem, state, term.piece(z), residual):
            return True
        if not residual > 0.0:
            return False
    d = state.model(piece).minimise(_MODEL * residual)
    promised = float(slope @ d) + _piece_value(piece, w + d) - _piece_value(piece, w)
    return _search_line(problem, state, d, promised)


def _move_by_model(problem, state, slope, residual):
    """A proximal Newton step (Lee, Sun and Saunders, 2014) on the rows that pull; False where there is no model."""
    if not state.has_newton_model:
        return False
    here = state.here
    if state.second is None or not isinstance(problem.loss, LeastSquares | Quadratic):
        state.second = curvature_of(problem, here.w)
    pulls = state.excess(here.rows) != 0.0
    rows = here.J[pulls]
    rows = (rows.toarray() if sparse.issparse(rows) else rows) * np.sqrt(state.penalties[pulls])[:, None]
    d = model_minimiser(state.term, state.second, here.w, slope, rows, _MODEL * residual) - here.w
    promised = float(slope @ d) + state.term.value(here.w + d) - state.term.value(here.w)
    return _search_line(problem, state, d, promised)


def _piece_value(piece, w):
    return float(piece.a @ np.abs(w) + piece.b @ (w * w) / 2)


def _search_line(problem, state, d, promised):
    """The first point along d with a part of the promised fall; lengths by parabolas."""
    here = state.here
    if not promised < 0.0:
        return False
    height = state.height(here)
    rounding = _ROUNDING * (abs(here.loss) + abs(height - here.loss))
    # near a solution the fall is less than the rounding of the values
    is_hidden = -promised <= _HIDDEN * rounding and state.flat < _FLAT
    length = 1.0
    for _ in range(_HALVINGS):
        there = _look(problem, state, here.w + length * d)
        new = state.height(there)
        is_lower = new < height and new <= height + _SUFFICIENT * length * promised
        if is_lower or (is_hidden and new <= height + rounding):
            state.flat = state.flat + 1 if new >= height else 0
            arrive(problem, state, there)
            return True
        bend = new - height - length * promised
        best = -promised * length * length / (2.0 * bend) if np.isfinite(bend) and bend > 0.0 else 0.1 * length
        length = float(np.clip(best, 0.1 * length, 0.5 * length))
    return False


def _change_support(problem, state, piece, residual):
    """Go to the minimiser of the model on another support, if the augmented Lagrangian is lower there."""
    here = state.here
    d = state.model(piece).minimise(_MODEL * residual)
    there = _look(problem, state, here.w + d)
    height = state.height(here)
    if state.height(there) < height - _SUFFICIENT * float(d @ d) - _ROUNDING * abs(height):
        arrive(problem, state, there)
        return True
    state.prox_step = max(0.5 * state.prox_step, 1e-12)
    return False


def _move_by_prox(problem, state, slope):
    """A proximal gradient step (Wright, Nowak and Figueiredo, 2009), below the largest of the last heights."""
    here, step = state.here, state.prox_step
    height = state.height(here)
    state.heights[:] = [*state.heights[1 - _MEMORY :], height]
    for _ in range(2 * _HALVINGS):
        w = state.term.prox(here.w - step * slope, step)
        length = float(np.sum((w - here.w) ** 2))
        if length == 0.0:
            return False
        there = _look(problem, state, w)
        if state.height(there) <= max(state.heights) - _SUFFICIENT * length / step + _ROUNDING * abs(height):
            arrive(problem, state, there)
            return True
        step *= 0.5
    return False


def arrive(problem, state, there):
    """Stand at the new point, and learn from the change of the gradient how the Lagrangian curves."""
    before, pull = state.here, state.pull(there.rows)
    differentiate(problem, state.rows, there)
    moved = there.w - before.w
    change = there.slope + there.J.T @ pull - before.slope - before.J.T @ pull
    state.curvature.update(moved, change)
    # of the augmented Lagrangian, which also curves along the slopes of the rows (Barzilai and Borwein, 1988)
    whole = there.slope + there.J.T @ pull - before.slope - before.J.T @ state.pull(before.rows)
    bent = float(moved @ whole)
    if bent > 0.0:
        state.prox_step = float(np.clip((moved @ moved) / bent, 1e-12, min(1e12, state.term.longest_step)))
    state.here, state.idle = there, 0


def _look(problem, state, w):
    state.evaluations += 1
    return look(problem, state.rows, w)
