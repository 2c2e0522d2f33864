"""What solvers with working sets ask of a penalty: where to begin, how far features are from stationarity, which enter."""

from __future__ import annotations

import numpy as np

from sparseopt.conjugates import convex_form, penalty_value
from sparseopt.forms import SeparableForm
from sparseopt.inputs import as_count, as_number
from sparseopt.kernels.gram import fixed_point_distances, plain_distances, separable_distances
from sparseopt.kernels.proximal import prox
from sparseopt.penalties import Penalty, straightened, strengthened

# Step of a prox that brings a point into the domain of the penalty and moves nothing else.
_TINY_STEP = 1e-30
# Part of the largest value above which a few large ones are looked for first.
_HIGH = 0.7
# Samples from which a hundred rows of a Gram matrix take longer than a look with all that goes with it.
_TALL = 2000


def check_options(solver):
    """Refuse options of a solver with working sets that are out of range."""
    for name in ("shrink", "concave_shrink"):
        if not 0.0 < as_number(getattr(solver, name), name) < 1.0:
            raise ValueError(f"{name} must be between 0 and 1, got {getattr(solver, name)}: the strength has to fall.")
    as_count(solver.fewest, "fewest", least=1)
    as_number(solver.growth, "growth", least=0.0)


def inseparable(problem):
    """Why features cannot be chosen one at a time, or None."""
    if isinstance(problem.proximal, Penalty):
        return None
    return "it chooses one coordinate at a time, and the penalty or the constraint ties coordinates together (only a Box under a convex penalty does not)"


def is_tall(design):
    """Whether rows of a Gram matrix cost more than looks, and minima are few enough to be found on a set without spare features."""
    n, p = design.shape
    return n >= max(p, _TALL)


def enter_domain(penalty, w):
    """Bring w, in place, to where the penalty is finite: features outside would not all enter the working set."""
    form = convex_form(penalty, w.size)
    if isinstance(form, SeparableForm) and form.is_plain:
        return
    if not np.isfinite(penalty_value(penalty, w)):
        prox(penalty, w.copy(), _TINY_STEP, w)


def no_worse_than_zero(problem, w):
    """The start w, or zero where that has the lower objective: far out, where losses have no curvature, steps are short."""
    if not np.any(w):
        return w
    zero = np.zeros_like(w)
    if isinstance(problem.proximal, Penalty):
        enter_domain(problem.proximal, zero)
    with np.errstate(over="ignore", invalid="ignore"):  # so far out that the loss is beyond all numbers
        here, there = (
            problem.loss.evaluate(v.astype(np.float64)) + penalty_value(problem.proximal, v.astype(np.float64))
            for v in (w, zero)
        )
    return zero if not here <= there else w


def first_strength(penalty, w, slopes):
    """The factor of alpha at which nothing outside of the support moves; 1 where the penalty has no alpha."""
    if strengthened(penalty, 1.0) is None:
        return 1.0
    convex = straightened(penalty, np.inf)
    form = convex_form(penalty if convex is None else convex, w.size)
    if not isinstance(form, SeparableForm):
        alpha = getattr(penalty, "alpha", None)
        return 1.0 if not alpha else max(1.0, float(np.max(np.abs(slopes))) / alpha)
    if _is_one(form.a) and form.a[0] > 0.0 and not w.any():
        # as below, without arrays of what is one in memory
        return max(1.0, float(np.abs(slopes).max(initial=0.0) / form.a[0]))
    held = (form.a > 0.0) & (w == 0.0)
    return max(1.0, float((np.abs(slopes[held]) / form.a[held]).max(initial=0.0)))


def distances(penalty, form, w, slopes, curvatures):
    """Distance of each coordinate to stationarity; `curvatures` are only needed where there is no form."""
    if isinstance(form, SeparableForm) and form.is_plain and _is_one(form.a):
        # what is one in memory is not spread out for a kernel
        out = np.empty(w.size)
        plain_distances(float(form.a[0]), w, slopes, out)
        return out
    out = np.empty(w.size)
    if isinstance(form, SeparableForm):
        separable_distances(*map(np.ascontiguousarray, (form.a, form.b, form.lower, form.upper)), w, slopes, out)
    else:
        fixed_point_distances(penalty, w, slopes, curvatures, out)
    return out


def _is_one(entries):
    """Whether all entries are one in memory; there is at least that one."""
    return entries.strides == (0,) and entries.size > 0


def entering_features(is_in, slopes, outside, count):
    """At most `count` features to let in, those first that violate optimality most, then those with steep slopes."""
    violating = (outside != 0.0).nonzero()[0]
    count = min(count, int(1.5 * violating.size) + 10, is_in.size - np.count_nonzero(is_in))
    if count == 0 or violating.size == 0:
        return np.empty(0, dtype=np.intp)
    steepness = np.abs(slopes)
    if count <= violating.size:
        # a steep slope that pushes against a bound violates nothing
        return np.sort(violating[_largest(steepness[violating] + outside[violating], count)])
    steepness[is_in] = -1.0
    steepness[violating] = -1.0
    count -= violating.size
    # nearly all are far below the largest
    high = (steepness > _HIGH * steepness.max()).nonzero()[0]
    steepest = high[_largest(steepness[high], count)] if count <= high.size else _largest(steepness, count)
    return np.sort(np.concatenate([violating, steepest]))


def _largest(values, count):
    """Places of the largest values."""
    return np.argpartition(values, values.size - count)[values.size - count :]
