"""What an interior point method does where its linear systems are solved badly: larger weights, or other factors."""

import numpy as np

from sparseopt.kernels import interior as kernels
from sparseopt.kernels.linked import linked
from sparseopt.solvers.quadratic.interior_state import FINEST

# Residual from which a more accurate factorisation is tried before giving up.
_NEAR = 1e-3
# Proximal weights with which factors that do not pivot lose little.
_FIRM = 2e-9
# Operations of one call of a kernel: a few hundredths of a second.
_CHUNK = 2e8
# How often an iteration passes over its numbers: solutions, their residuals and refinements for two directions.
_PASSES = 60


def iterations_at_once(system):
    """Iterations of one call of the kernel."""
    return int(min(max(_CHUNK / (system.work + _PASSES * system.entries + 1e4), 1.0), 50.0))


def is_near(state):
    """Whether the constraints have been met but for what the last digits of large numbers may be."""
    return state.S[kernels.LEAST_VIOLATION] < _NEAR


def solve_better(state):
    """Take the next remedy.

    Near the end that is larger weights, once, for factors with pivoting take ten times as long and more. Further off,
    points that come of larger weights lead nowhere.
    """
    S = state.S
    if state.system.is_rough() and is_near(state) and S[kernels.FINEST] < _FIRM:
        _firm(S)
    elif not is_harder(state):
        _firm(S)
        S[kernels.POOR] = -np.inf


def is_harder(state):
    """Whether there is a system that solves more accurately, which takes over, with weights as small as it can take."""
    harder = state.system.harder()
    if harder is None:
        return False
    state.system, state.link, state.chunk = harder, linked(harder), iterations_at_once(harder)
    state.S[kernels.FINEST] = FINEST
    return True


def _firm(S):
    """Keep regularisation at a size with which systems are solved well: steps are shorter, and lead somewhere."""
    S[kernels.FINEST] = _FIRM
    S[[kernels.RHO, kernels.DELTA, kernels.FLOOR]] = np.maximum(S[[kernels.RHO, kernels.DELTA, kernels.FLOOR]], _FIRM)
