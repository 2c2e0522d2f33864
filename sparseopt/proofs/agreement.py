"""Whether a certificate claims more than one that was computed again from the data."""

from __future__ import annotations

import numpy as np

from sparseopt.inputs import as_coefficients

_RESIDUALS = ("stationarity", "dual_residual", "complementarity")


def excess_of_claims(claimed, again, problem) -> str | None:
    """The first number of a certificate that promises more than another one of the same point, in words; None for none.

    The comparisons are said so that NaN, which compares to nothing, is refused; of a residual it claims nothing.
    """
    slack = 1e-9 * (abs(again.objective) + again.reference)
    slack = slack if slack < np.inf else 0.0
    # a run that is stopped early may claim less than the data proves
    if again.proof != claimed.proof and not (claimed.proof == "stationarity" and claimed.lower_bound == -np.inf):
        return f"the certificate claims a proof by {claimed.proof}, the data gives one by {again.proof}."
    if not (again.objective == claimed.objective or abs(again.objective - claimed.objective) <= slack):
        return f"the objective at w is {again.objective:.12g}, not {claimed.objective:.12g}."
    if not claimed.lower_bound <= again.lower_bound + (0.0 if claimed.proof == "bound" else slack):
        return f"the data proves the bound {again.lower_bound:.12g}, not {claimed.lower_bound:.12g}."
    if not 0.0 <= claimed.reference <= again.reference + slack:
        return f"the gap is relative to {again.reference:.12g}, not to {claimed.reference:.12g}."
    if not again.violation <= claimed.violation + 1e-12:
        return f"the violation at w is {again.violation:.3g}, not {claimed.violation:.3g}."
    for name in _RESIDUALS:
        told, found = getattr(claimed, name), getattr(again, name)
        if np.isnan(told) or found <= told * (1.0 + 1e-6):
            continue
        if not found - told <= 1e-9 * _steepest(problem, claimed.w):
            return f"the {name.replace('_', ' ')} at w is {found:.3g}, not {told:.3g}."
    return None


def _steepest(problem, w):
    """Size of the slopes that a residual is what is left of, and rounding a part of."""
    w = as_coefficients(w, problem.shape, np.float64, "w")
    slopes = [problem.loss.gradient(point) for point in (w, np.zeros_like(w))]
    return max(1.0, *(float(np.max(np.abs(slope), initial=0.0)) for slope in slopes))
