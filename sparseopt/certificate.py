"""Certificates: what is proven about a point, from the problem and the point alone.

For a convex problem the proof is weak duality. With v_i a slope of phi in the i-th fitted
value and t = -X'(s v), every v gives the lower bound

    D(v) = - sum_i s_i phi*(y_i, v_i) - g*(t)

provided that t lies in the range of slopes of g and, with an intercept, sum_i s_i v_i = 0.
The slopes at w are projected and scaled until both hold (Fenchel, 1949; for the lasso Kim et
al., 2007). All sums are in float64, and the bound is lowered by a margin for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from sparseopt import kkt, stationary_points
from sparseopt.bound_tree import BoundTree
from sparseopt.compositions import composed_bound
from sparseopt.conjugates import (
    convex_form,
    has_conjugate,
    loss_conjugate,
    penalty_value,
    sample_slopes,
    slope_scale,
)
from sparseopt.constraints import Box, Cardinality, Intersection, LinearConstraint
from sparseopt.curvature import least_curvature
from sparseopt.forms import SeparableForm
from sparseopt.inputs import as_coefficients
from sparseopt.kernels.gram import fixed_point_distances
from sparseopt.kernels.lasso_look import look_at_lasso
from sparseopt.lasso_bound import examine_lasso
from sparseopt.losses import DualLoss, LeastSquares, Loss, Quadratic
from sparseopt.losses.base import kept
from sparseopt.losses.samples import remembered
from sparseopt.penalties import Penalty, ProximalTerm
from sparseopt.problem import Problem, is_priced, parts_of, without_price
from sparseopt.row_subsets import RowSubset
from sparseopt.worst_bound import bound_by_weights, distance_by_weights, form_of, weights_at

# Relative error of the float64 sums that make up a bound, with room to spare.
_ROUNDING = 1e-14
# The relative gap is taken over the objective at w, but at least over this part of the
# objective at zero, so that a perfect fit can end.
_FLOOR = 1e-6
# Unpenalised coefficients are projected out by least squares while that is cheap.
_PROJECTION_WORK = 2e9
# Newton steps that bring slopes of losses which are no sums over samples to zero: a few near an optimum.
_SETTLING_STEPS = 8


class CertificateError(RuntimeError):
    """A certificate does not hold for the problem it was checked against."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is proven about a point w.

    Attributes
    ----------
    objective : float
        loss + penalty at w.
    lower_bound : float
        No feasible point has a smaller objective; -inf where nothing is proven.
    violation : float
        Distance of w to the constraint.
    stationarity : float
        Distance of w to a fixed point, in the units of the loss's slope.
    proof : str
        "duality", "bound" (brought by the solver), "kkt", "stationarity" (no bound), or
        "infeasible ray" and "unbounded ray".
    tree : BoundTree or None
        The proof of a bound that a branch and bound has brought, where it was kept.
    dual_residual : float
        Residual of the dual equations, for problems with linear rows; nan elsewhere.
    complementarity : float
        Largest min(multiplier, distance to the side it pulls to) of a row, for problems with nonlinear constraints;
        nan elsewhere.
    ray : array or None
        The ray that proves infeasibility or unboundedness.
    remark : str
        Why there is no lower bound, where that is for more than a residual.
    reference : float
        What the relative gap is relative to.
    """

    objective: float
    lower_bound: float
    violation: float
    stationarity: float
    proof: str
    reference: float
    dual_residual: float = np.nan
    complementarity: float = np.nan
    w: np.ndarray | None = field(default=None, repr=False)
    duals: object = field(default=None, repr=False)
    ray: np.ndarray | None = field(default=None, repr=False)
    tree: BoundTree | None = field(default=None, repr=False)
    remark: str = ""

    @property
    def gap(self) -> float:
        """objective - lower_bound."""
        return self.objective - self.lower_bound

    @property
    def relative_gap(self) -> float:
        """gap over the objective at w (over a millionth of that at zero, if that is larger)."""
        return self.gap / self.reference if self.reference > 0 else (0.0 if self.gap <= 0 else np.inf)

    @property
    def summary(self) -> str:
        """The proof in a few words."""
        match self.proof:
            case "stationarity" if not np.isnan(self.complementarity):
                return f"stationary to {self.stationarity:.1e}, violation {self.violation:.1e}, no bound"
            case "stationarity":
                reason = f": {self.remark}" if self.remark else ""
                return f"stationary to {self.stationarity:.1e}, no bound{reason}"
            case "kkt":
                return f"residuals {self.violation:.0e} and {self.dual_residual:.0e}, gap {self.gap:.0e} by KKT"
            case "infeasible ray" | "unbounded ray":
                return f"proven by an {self.proof}"
        nodes = "" if self.tree is None else f" of {len(self.tree.nodes)} nodes"
        if self.lower_bound == np.inf:
            return f"proven to have no point, by {self.proof}{nodes}"
        return f"relative gap {self.relative_gap:.0e} by {self.proof}{nodes}"

    def verify(self, problem) -> None:
        """Compute the certificate again from the problem; `CertificateError` where it does not hold."""
        again = certify(problem, self.w, duals=self.duals, ray=self.ray)
        slack = 1e-9 * (abs(again.objective) + again.reference)
        if self.proof == "bound":
            again = replace(again, proof="bound", lower_bound=self._checked_bound(problem))
        if again.proof != self.proof:
            raise CertificateError(
                f"the certificate claims a proof by {self.proof}, the data gives one by {again.proof}."
            )
        if abs(again.objective - self.objective) > slack:
            raise CertificateError(f"the objective at w is {again.objective:.12g}, not {self.objective:.12g}.")
        if self.lower_bound > again.lower_bound + (0.0 if self.proof == "bound" else slack):
            raise CertificateError(f"the data proves the bound {again.lower_bound:.12g}, not {self.lower_bound:.12g}.")
        if again.violation > self.violation + 1e-12:
            raise CertificateError(f"the violation at w is {again.violation:.3g}, not {self.violation:.3g}.")

    def _checked_bound(self, problem):
        """The bound that the tree proves for the problem."""
        if not isinstance(problem.loss, Loss):
            raise CertificateError(
                "the bound was brought by MinimaxBranchAndBound, which keeps no proof; solve again and compare."
            )
        if self.tree is None:
            raise CertificateError(
                "the bound was brought by a solver without its proof, and cannot be checked from w; "
                "solve again with BranchAndBound(keep_proof=True)."
            )
        if reason := self.tree.fault(problem):
            raise CertificateError(f"the tree of bounds does not hold: {reason}.")
        return self.tree.lower_bound


def certify(problem: Problem, w, *, lower_bound=-np.inf, tree=None, duals=None, ray=None) -> Certificate:
    """What can be proven about w.

    Parameters
    ----------
    problem : Problem
    w : array of shape (p,), or (p, q) where the loss has q outputs
        Any point; a solver's residuals are not looked at.
    lower_bound : float, optional
        A bound that is already proven, by branch and bound.
    tree : BoundTree, optional
        The proof of that bound, which `Certificate.verify` checks.
    duals : Duals, optional
        Multipliers of linear rows and bounds; recovered from w where they are not given.
    ray : array, optional
        A direction that proves infeasibility or unboundedness.

    Returns
    -------
    Certificate

    Notes
    -----
    Costs two products with X; all sums are in float64, also for float32 data.
    """
    w = as_coefficients(w, problem.shape, np.float64, "w")
    return certify_private(problem, w, lower_bound=lower_bound, tree=tree, duals=duals, ray=ray)


def certify_private(problem, w, *, lower_bound=-np.inf, tree=None, duals=None, ray=None):
    """`certify` of a finite float64 vector, which the certificate keeps."""
    if not isinstance(problem.loss, Loss):
        return _certify_worst(problem, w, lower_bound, duals)
    if is_composed(problem):
        return _certify_composed(problem, w, duals)
    if stationary_points.covers(problem):
        return _certify_first_order(problem, w, duals)
    if needs_multipliers(problem) or (ray is not None and kkt.covers(problem)):
        return _certify_rows(problem, w, duals, ray)
    here = examine(problem, w)
    return _certified(problem, w, here, lower_bound, tree)


def certify_once(problem, w):
    """`certify_private` of a problem that needs no multipliers, for a point that is looked at once."""
    return _certified(problem, w, _examine(problem, w), -np.inf, None)


def certify_little_lasso(problem, w):
    """The same for a little loss and alpha |w|, in one call of a kernel."""
    values, means, _, at_zero = problem.loss.little
    target = problem.loss.target
    objective, bound, distance = look_at_lasso(
        values, means, target, problem.penalty.alpha, w, at_zero, _ROUNDING, np.empty_like(target)
    )
    is_proven = bound > -np.inf
    return Certificate(
        objective=objective,
        lower_bound=bound if is_proven else -np.inf,
        violation=0.0,
        stationarity=distance,
        proof="duality" if is_proven else "stationarity",
        reference=max(abs(objective), _FLOOR * at_zero),
        w=w,
    )


def _certified(problem, w, here, lower_bound, tree):
    bound, proof = lower_bound, "bound" if lower_bound > -np.inf else "stationarity"
    if here.bound > bound:
        bound, proof = here.bound, "duality"
    return Certificate(
        objective=here.objective,
        lower_bound=float(bound),
        violation=problem.violation(w),
        stationarity=stationarity(problem, w, here.slope) if here.distance is None else here.distance,
        proof=proof,
        reference=max(abs(here.objective), _FLOOR * abs(objective_at_zero(problem))),
        w=w,
        tree=tree if proof == "bound" else None,
    )


@dataclass(frozen=True, eq=False)
class Examination:
    """What a problem with a prox says of a point: objective, slope of the loss, best bound by duality, maybe `stationarity`."""

    objective: float
    slope: np.ndarray
    bound: float
    distance: float | None = None


def examine(problem, w):
    """The examination of a float64 point from the data; that of the last one is kept, since a run ends where it was proven."""
    return remembered(problem, "_examination", w, lambda w: _examine(problem, w))


def _examine(problem, w):
    if type(problem.loss) is LeastSquares and problem.proximal is not None:
        form = convex_form(problem.proximal, w.size)
        if type(form) is SeparableForm and form.is_plain and not form.can_stick:
            objective, slope, bound, distance = examine_lasso(problem.loss, form.a, w, _ROUNDING)
            return Examination(objective, slope, max(-np.inf, bound), distance)
    slope = np.asarray(problem.loss.gradient(w), dtype=np.float64)
    objective = problem.loss.evaluate(w) + penalty_value(problem.penalty, w)
    # in this order of the two, a bound that is no number is none
    return Examination(objective, slope, max(-np.inf, dual_bound(problem, w, slope)))


def objective_at_zero(problem):
    """The objective at w = 0, computed once."""
    return kept(problem, "_objective_at_zero", lambda: problem.loss.value_at_zero() + _penalty_at_zero(problem))


def _penalty_at_zero(problem):
    form = None if problem.proximal is None else convex_form(problem.proximal, problem.n_features)
    if type(form) is SeparableForm and form.is_plain:
        return 0.0
    return penalty_value(problem.penalty, np.zeros(problem.n_features))


def _certify_composed(problem, w, duals):
    """What the multipliers of the rows of A prove of w for loss(w) + penalty(A w); zeros where none are given."""
    objective, start = problem.objective(w), objective_at_zero(problem)
    _, A = problem.penalty.composition(w.size)
    u = np.zeros(A.shape[0]) if duals is None else duals.rows
    bound = composed_bound(problem, w, u)
    return Certificate(
        objective=objective,
        lower_bound=float(bound),
        violation=problem.violation(w),
        stationarity=float(np.max(np.abs(problem.loss.gradient(w) + A.T @ u), initial=0.0)),
        proof="duality" if bound > -np.inf else "stationarity",
        reference=max(abs(objective), _FLOOR * abs(start)),
        w=w,
        duals=duals,
    )


def _certify_first_order(problem, w, duals):
    """Stationarity, violation and complementarity of w; no bound, for the functions may be anything."""
    objective = problem.objective(w)
    found = stationary_points.first_order(problem, w, duals)
    return Certificate(
        objective=objective,
        lower_bound=-np.inf,
        violation=problem.violation(w),
        stationarity=found.stationarity,
        complementarity=found.complementarity,
        proof="stationarity",
        reference=abs(objective),
        w=w,
        duals=found.duals,
    )


def _certify_rows(problem, w, duals, ray):
    """What multipliers or a ray prove of w; multipliers are recovered from w where none are given."""
    if not kkt.covers(problem):
        return _certify_first_order(problem, w, duals)
    found = None
    if ray is None:
        found = kkt.kkt_residuals(problem, w, kkt.recover_duals(problem, w) if duals is None else duals)
    objective = problem.objective(w) if found is None else found.objective
    start = objective_at_zero(problem)
    unproven = Certificate(
        objective=objective,
        lower_bound=-np.inf,
        violation=problem.violation(w) if found is None else found.violation,
        stationarity=np.nan if found is None else found.dual,
        proof="stationarity",
        reference=max(abs(objective), _FLOOR * abs(start) if np.isfinite(start) else 0.0),
        dual_residual=np.nan if found is None else found.dual,
        w=w,
        duals=duals,
        ray=ray,
    )
    if ray is not None:
        # whichever of the two a ray was meant for: what it proves, it proves
        if kkt.check_primal_ray(problem, ray).holds:
            return replace(unproven, lower_bound=np.inf, proof="infeasible ray")
        if kkt.check_dual_ray(problem, ray).holds:
            return replace(unproven, proof="unbounded ray")
        return replace(certify_private(problem, w, duals=duals), ray=ray)
    if isinstance(problem.loss, Quadratic) and (curvature := least_curvature(problem.loss)) < 0.0:
        return replace(unproven, remark=f"Q has negative curvature {curvature:.2g}")
    return replace(unproven, lower_bound=found.lower_bound, proof="kkt")


def _certify_worst(problem, w, lower_bound, duals):
    """What weights of the losses prove of w for the worst of them; found from w where none are given."""
    objective = problem.objective(w)
    weights = None if duals is None else duals.losses
    weights = weights_at(problem, w) if weights is None else weights
    bound, proof = lower_bound, "bound" if lower_bound > -np.inf else "stationarity"
    if problem.proximal is not None and problem.is_convex and form_of(problem) is not None:
        found = bound_by_weights(problem, w, weights, dual_bound)
        bound, proof = (found, "duality") if found > bound else (bound, proof)
    return Certificate(
        objective=objective,
        lower_bound=float(bound),
        violation=problem.violation(w),
        stationarity=distance_by_weights(problem, w, weights),
        proof=proof,
        reference=max(abs(objective), _FLOOR * abs(objective_at_zero(problem))),
        w=w,
        duals=duals,
    )


def needs_multipliers(problem):
    """Whether a point alone has no simple dual.

    There are rows, functions of the user's, a penalty of a linear map, or several losses.
    """
    return kept(problem, "_needs_multipliers", lambda: _has_no_simple_dual(problem))


def _has_no_simple_dual(problem):
    if is_composed(problem) or not isinstance(problem.loss, Loss) or stationary_points.covers(problem):
        return True
    return problem.constraint is not None and problem.proximal is None and not problem.chooses_support


def is_composed(problem):
    """Whether the penalty has no prox of its own: it is one of a linear map of w."""
    return not isinstance(problem.penalty, ProximalTerm)


def knows_dual(problem):
    """Whether duality bounds the problem: it is convex, and its conjugates are known."""
    return kept(problem, "_knows_dual", lambda: _knows_dual(problem))


def _knows_dual(problem):
    term = problem.proximal
    has_form = term is not None and convex_form(term, problem.n_features) is not None
    return has_form and (isinstance(problem.loss, Quadratic) or has_conjugate(problem.loss))


def dual_bound(problem, w, slope):
    """The best lower bound that duality gives from w and the slope of the loss there; -inf where none is known."""
    if not knows_dual(problem):
        return -np.inf
    form = convex_form(problem.proximal, w.size)
    if isinstance(problem.loss, Quadratic):
        bound = _quadratic_bound(problem.loss, form, w, slope)
        if bound == -np.inf and kkt.covers(problem):
            # a slope that rounding keeps from zero costs little where there is curvature
            bound = kkt.kkt_residuals(problem, w, kkt.recover_duals(problem, w)).lower_bound
        return bound
    if isinstance(problem.loss, DualLoss):
        return _ray_bound(problem.loss, form, w)
    return _sample_bound(problem.loss, form, w, slope)


def _sample_bound(loss, form, w, slope):
    weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
    v = sample_slopes(loss, w)
    t = -slope
    if loss.intercept and not isinstance(loss, LeastSquares):  # whose columns and targets are centred
        v = _balanced(v, weights)
        t = -np.asarray(loss.X.rmatvec(weights * v), dtype=np.float64)
    if (basis := form.free_directions()) is not None:
        v = _orthogonal(loss, v, weights, np.column_stack([loss.X.matvec(direction) for direction in basis.T]))
        if v is None:
            return -np.inf
        t = -np.asarray(loss.X.rmatvec(weights * v), dtype=np.float64)
    flat = False
    while (stuck := form.stuck(t)) is not None:
        flat = flat | stuck
        v = _without_columns(loss, v, weights, np.flatnonzero(flat))
        if v is None:
            return -np.inf
        t = np.where(flat, 0.0, -np.asarray(loss.X.rmatvec(weights * v), dtype=np.float64))
    scale = form.largest_scale(t)
    if isinstance(loss, LeastSquares):
        known = loss.residual(w)
        mass, squares = (known.mass, known.squares) if v is known.values else (weights * v, None)
        scale, value, size = _half_squares(loss, v, mass, squares, scale, may_shrink=form.is_homogeneous)
    else:
        terms = np.multiply(weights, loss_conjugate(loss, scale * v), out=np.empty_like(v))
        value, size = float(terms.sum()), float(np.abs(terms).sum())
    penalty = form.conjugate_near(scale * t)
    return -value - penalty - _ROUNDING * (size + abs(penalty))


def _half_squares(loss, v, mass, squares, scale, *, may_shrink):
    """The factor of the residual v with the best bound, the sum of conjugates at it, and the size of their parts.

    The sum of s_i ((k v_i)**2 / 2 + k v_i y_i) is a parabola in the factor k; `mass` is s v, and `squares` its
    product with v where that is known.
    """
    products = mass * loss.target
    pull = float(np.add.reduce(products))
    if squares is None:
        squares = float(np.add.reduce(mass * v))
    if may_shrink and squares > 0.0:
        scale = min(max(-pull / squares, 0.0), scale)
    curved = scale * scale * squares / 2
    return scale, curved + scale * pull, curved + scale * float(np.add.reduce(np.abs(products)))


def _ray_bound(loss, form, w):
    """The bound of the slopes at w, after Newton steps on what is free to move, which bring its slopes to zero."""
    ray, flat = loss.dual_ray(w), np.zeros(w.size, dtype=bool)
    t = -ray.slope
    if (basis := form.free_directions()) is not None:
        ray = _settled_ray(loss, w, np.arange(w.size), basis)
        if ray is None:
            return -np.inf
        t = -ray.slope
        t -= basis @ np.linalg.lstsq(basis, t, rcond=None)[0]
    while (stuck := form.stuck(t)) is not None:
        flat |= stuck
        columns = np.flatnonzero(flat)
        ray = _settled_ray(loss, w, columns, np.eye(columns.size))
        if ray is None:
            return -np.inf
        t = np.where(flat, 0.0, -ray.slope)
    scale = form.largest_scale(t)
    if form.is_homogeneous:
        scale = min(scale, ray.best_scale(scale))
    value, size = ray.conjugate(scale)
    penalty = form.conjugate(form.nearest_slope(scale * t))
    return -value - penalty - _ROUNDING * (size + abs(penalty))


def _settled_ray(loss, w, columns, basis):
    """The ray of slopes that are zero along a basis of the columns, near w; None where that costs too much."""
    n = loss.n_entries / max(loss.n_features, 1)
    if n * columns.size**2 > _PROJECTION_WORK:
        return None
    w = np.array(w)
    rounding = 1e-13 * float(np.max(np.abs(loss.gradient(np.zeros_like(w))), initial=0.0))
    for _ in range(_SETTLING_STEPS):
        ray = loss.dual_ray(w)
        rest = basis.T @ ray.slope[columns]
        if np.all(np.abs(rest) <= rounding * np.sum(np.abs(basis), axis=0)):
            return ray
        H = basis.T @ loss.hessian(w, columns) @ basis
        w[columns] -= basis @ np.linalg.lstsq(H, rest, rcond=1e-12)[0]
        if not np.all(np.isfinite(w)):
            break
    return None


def _balanced(v, weights):
    """v with sum_i weights_i v_i = 0: the heavier of its signs is scaled down, which keeps it a slope."""
    mass = weights * v
    above, below = float(np.sum(mass[v > 0])), -float(np.sum(mass[v < 0]))
    if above == 0.0 or below == 0.0:
        return np.zeros_like(v)
    if above > below:
        return np.where(v > 0, v * (below / above), v)
    return np.where(v < 0, v * (above / below), v)


def _without_columns(loss, v, weights, columns):
    """v made orthogonal to some columns of X; None where that costs too much."""
    if v.size * columns.size * min(v.size, columns.size) > _PROJECTION_WORK:
        return None
    return _orthogonal(loss, v, weights, loss.X.restrict(columns).to_array())


def _orthogonal(loss, v, weights, A):
    """v made orthogonal to the columns of A and scaled into the range of slopes; None where that costs too much."""
    n = v.size
    if n * A.shape[1] * min(A.shape) > _PROJECTION_WORK:
        return None
    if loss.intercept:
        A = np.column_stack([A, np.ones(n)])
    root = np.sqrt(np.broadcast_to(weights, n))
    A, rest = root[:, None] * A, root * v
    for _ in range(2):  # the second time takes off the rounding of the first
        rest = rest - A @ np.linalg.lstsq(A, rest, rcond=None)[0]
    projected = np.divide(rest, root, out=np.zeros_like(rest), where=root > 0)
    return slope_scale(loss, projected) * projected


def _quadratic_bound(loss, form, w, slope):
    """f(x) + f'(x).(w - x) is below f everywhere, so any x bounds the problem by -x'Qx/2 - g*(-f'(x)).

    -f'(x) must be a slope of g. From x = w, steps bring it to zero where it has a sign that no
    slope has; then x moves towards the minimiser of f, which scales it by a factor k:
    x = k x - (1 - k) q with Q q = c.
    """
    Q, c = loss.Q, loss.c.astype(np.float64)
    x, t = w, -slope
    if (basis := form.free_directions()) is not None:
        x = _balanced_along(Q, c, x, basis)
        t = -(Q.matvec(x) + c)
        if np.any(np.abs(basis.T @ t) > 1e-12 * (np.abs(basis).T @ (np.abs(c) + np.abs(t)))):
            return -np.inf
        t -= basis @ np.linalg.lstsq(basis, t, rcond=None)[0]
    flat = np.zeros(t.size, dtype=bool)
    while (stuck := form.stuck(t)) is not None:
        flat |= stuck
        x = _flattened(Q, c, x, np.flatnonzero(flat))
        t = -(Q.matvec(x) + c)
        if np.any(np.abs(t[flat]) > 1e-12 * (np.abs(c).max(initial=0.0) + np.abs(t).max(initial=0.0))):
            return -np.inf
        t[flat] = 0.0
    scale = form.largest_scale(t)
    if scale < 1.0:
        scale *= 1.0 - 1e-12
        q = _solve_symmetric(Q.matrix, c)
        x = scale * x - (1.0 - scale) * q
        t = -(Q.matvec(x) + c)
        margin = 1e-9 * (np.abs(c).max(initial=0.0) + np.abs(t).max(initial=0.0))
        nearest = form.nearest_slope(t)
        if np.any(np.abs(t - nearest) > margin):
            return -np.inf
        t = nearest
    curved = float(x @ Q.matvec(x)) / 2
    penalty = form.conjugate(t)
    return -curved - penalty - _ROUNDING * (abs(curved) + abs(penalty) + float(np.sum(np.abs(c * x))))


def _flattened(Q, c, x, columns):
    """x with steps on some coordinates that bring the slope to zero there."""
    block = Q.matrix[:, columns][columns]
    block = (block.toarray() if sparse.issparse(block) else block).astype(np.float64)
    x = np.array(x)
    for _ in range(2):  # the second time takes off the rounding of the first
        x[columns] -= np.linalg.lstsq(block, (Q.matvec(x) + c)[columns], rcond=None)[0]
    return x


def _balanced_along(Q, c, x, basis):
    """x with a step along a basis that takes the slope's part in it to zero."""
    block = basis.T @ np.column_stack([Q.matvec(direction) for direction in basis.T])
    for _ in range(2):  # the second time takes off the rounding of the first
        x = x - basis @ np.linalg.lstsq(block, basis.T @ (Q.matvec(x) + c), rcond=None)[0]
    return x


def _solve_symmetric(matrix, c):
    dense = matrix.toarray() if not isinstance(matrix, np.ndarray) else matrix
    return np.linalg.lstsq(dense.astype(np.float64), c, rcond=None)[0]


def stationarity(problem, w, slope):
    """Distance of w to a stationary point, in the units of the slope of f, which is given.

    For a convex form it is the distance of -f'(w) to the subdifferential of g. Otherwise it is
    L |w - prox(w - f'(w) / L, 1 / L)| with L the curvature in each coefficient: a fixed point of
    coordinate descent (of a gradient step, where the term ties coefficients together). Where nonzeros are
    counted, it is that distance on the support; and for at most k of them it is, off the support, what a
    step of size 1/L would gain entry (Beck and Eldar, 2013).
    """
    if problem.chooses_support and problem.proximal is None:
        return _sparse_stationarity(problem, w, slope)
    term = problem.proximal
    form = None if term is None else convex_form(term, w.size)
    distance = None if form is None else form.subgradient_distance(w, slope)
    if distance is not None:
        return float(np.maximum.reduce(distance, initial=0.0))
    curvatures = np.maximum(np.asarray(problem.loss.curvatures_near(w), dtype=np.float64), np.finfo(np.float64).tiny)
    if not isinstance(term, Penalty):
        curvature, nearest = max(problem.loss.lipschitz_near(w), np.finfo(np.float64).tiny), np.empty_like(w)
        term.private(w.size).prox_into(w - slope / curvature, 1.0 / curvature, nearest)
        return float(curvature * np.max(np.abs(w - nearest), initial=0.0))
    moved = np.empty(w.size)
    fixed_point_distances(term, w, slope, curvatures, moved)
    return float(np.max(moved, initial=0.0))


def _sparse_stationarity(problem, w, slope):
    if RowSubset.has_rows(problem):
        return _row_stationarity(problem, w, slope)
    form = _form_of_nonzeros(problem, w.size)
    if not isinstance(form, SeparableForm):
        return np.nan
    on = w != 0.0
    distance = form.subgradient_distance(w, slope)
    if not isinstance(problem.constraint, Cardinality) or is_priced(problem.penalty):
        return float(np.max(distance[on], initial=0.0))
    if np.count_nonzero(on) < problem.constraint.k:
        return float(np.max(distance, initial=0.0))
    inside, outside = float(np.max(distance[on], initial=0.0)), float(np.max(distance[~on], initial=0.0))
    smallest, ridge = float(np.min(np.abs(w[on]), initial=np.inf)), float(np.max(form.b, initial=0.0))
    # the largest curvature, which takes many products with X, is at least that of any one coefficient
    if outside <= (float(np.max(problem.loss.curvatures_near(w), initial=0.0)) + ridge) * smallest:
        return inside
    curvature = max(problem.loss.lipschitz_near(w) + ridge, np.finfo(np.float64).tiny)
    return max(inside, outside - curvature * smallest, 0.0)


def _row_stationarity(problem, w, slope):
    """The residual of the optimality conditions on the support of w, under the rows and bounds there."""
    subset, on = RowSubset.of(problem), np.flatnonzero(w)
    if isinstance(subset, str):
        return np.nan
    lower, upper = subset.lower[on], subset.upper[on]
    if on.size == 0 or np.any(lower > upper):
        return 0.0 if on.size == 0 else np.nan
    rows = LinearConstraint(subset.A[:, on], subset.row_lower, subset.row_upper)
    # a linear loss has the slope at w everywhere
    there = Problem(
        Quadratic(np.zeros((on.size, on.size)), slope[on]),
        without_price(problem.penalty),
        Intersection(rows, Box(lower, upper)),
    )
    return kkt.kkt_residuals(there, w[on], kkt.recover_duals(there, w[on])).dual


def _form_of_nonzeros(problem, p):
    """The convex form of the penalty on nonzero coefficients, whose price does not vary, within the box."""
    form = convex_form(without_price(problem.penalty), p)
    for part in parts_of(problem.constraint):
        if isinstance(part, Box) and isinstance(form, SeparableForm):
            lower, upper = part.bounds(p)
            form = replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    return form
