"""What multipliers prove of a small dense quadratic program, by one call of a kernel in place of `kkt_residuals`."""

import numpy as np

from sparseopt.dense_program import full_program
from sparseopt.kernels.kkt_look import look_at_rows


def look(problem, w, duals):
    """Objective, violation, dual residual and lower bound of w; None of other problems, and where it is not clear that the loss is convex."""
    program = full_program(problem)
    if program is None:
        return None
    p, known = w.size, problem.loss.__dict__
    y, v = np.array(duals.rows, dtype=np.float64), np.array(duals.box, dtype=np.float64)
    if (y.shape, v.shape) != (program.row_lower.shape, w.shape):
        return None
    *found, is_proven = look_at_rows(
        *program, w, y, v, known.get("_least_curvature") == 0.0, np.empty((2, p)), np.empty((p, p))
    )
    if not is_proven:
        return None
    known["_least_curvature"] = 0.0  # what the kernel has found, as `least_curvature` would
    return found
