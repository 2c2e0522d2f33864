"""Certificates: what is proven about a point, from the problem and the point alone.

What proves a bound depends on the problem: weak duality (`duality`), multipliers of rows and rays
(`kkt`), weights of losses (`worst_bound`), a tree over supports (`bound_tree`), or nothing
(`stationary_points`). All sums are in float64, and bounds are lowered by a margin for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.curvature import least_curvature
from sparseopt.inputs import as_coefficients
from sparseopt.kernels.lasso_look import look_at_lasso
from sparseopt.losses import Loss, Quadratic
from sparseopt.packed import filled, may_be_packed, packed
from sparseopt.problem import Problem
from sparseopt.proofs import kkt, priced_ball, stationary_points
from sparseopt.proofs.agreement import excess_of_claims
from sparseopt.proofs.bound_tree import BoundTree
from sparseopt.proofs.compositions import composed_bound
from sparseopt.proofs.duality import ROUNDING, dual_bound
from sparseopt.proofs.examination import examine, examine_once, objective_at_zero, size_at_zero
from sparseopt.proofs.kinds import is_composed, needs_multipliers
from sparseopt.proofs.multiplier_bound import multiplier_bound
from sparseopt.proofs.multipliers import recover_duals
from sparseopt.proofs.rays import check_dual_ray, check_primal_ray
from sparseopt.proofs.row_look import look
from sparseopt.proofs.separation import separation
from sparseopt.proofs.stationarity import stationarity
from sparseopt.proofs.worst_bound import bound_by_weights, distance_by_weights, form_of, weights_at

# The relative gap is taken over the objective at w, but at least over this part of the
# objective at zero, so that a perfect fit can end.
_FLOOR = 1e-6


class CertificateError(RuntimeError):
    """A certificate does not hold for the problem it was checked against."""


@may_be_packed
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
        Largest min(multiplier, distance to the side it pulls to) of a row, for nonlinear constraints, and linear ones of
        losses or penalties that `kkt` does not know; nan elsewhere.
    ray : array or None
        The ray that proves infeasibility or unboundedness.
    remark : str
        Why there is no lower bound, where that is for more than a residual, or no best point.
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
        """gap over the objective at w, or over a millionth of that at zero, if that is larger.

        A `Quadratic` is zero at zero: in place of that stands the most that one coefficient takes off, or else costs.
        """
        return self.gap / self.reference if self.reference > 0 else (0.0 if self.gap <= 0 else np.inf)

    @property
    def summary(self) -> str:
        """The proof in a few words."""
        match self.proof:
            case "stationarity" if not np.isnan(self.complementarity):
                return f"stationary to {self.stationarity:.1e}, violation {self.violation:.1e}, no bound"
            case "duality" if not np.isnan(self.complementarity):
                return f"relative gap {self.relative_gap:.0e} by duality, violation {self.violation:.1e}"
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
        try:
            with np.errstate(all="ignore"):  # it may hold anything
                again = certify(problem, self.w, duals=self.duals, ray=self.ray)
                if self.proof == "bound":
                    again = replace(again, proof="bound", lower_bound=self._checked_bound(problem))
                excess = excess_of_claims(self, again, problem)
        except (AttributeError, TypeError, ValueError) as fault:
            raise CertificateError(f"the certificate does not fit the problem: {fault}") from None
        if excess:
            raise CertificateError(excess)

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


def certify_private(problem, w, *, lower_bound=-np.inf, tree=None, duals=None, ray=None, is_brief=False):
    """`certify` of a finite float64 vector, which the certificate keeps; a brief one does not ask whether Q is convex."""
    is_judged = ray is None and duals is not None and not is_brief
    if is_judged and (certificate := certify_program(problem, w, duals)):
        return certificate
    if not isinstance(problem.loss, Loss):
        return _certify_worst(problem, w, lower_bound, duals)
    if is_composed(problem):
        return _certify_composed(problem, w, duals)
    if priced_ball.covers(problem):
        return _certify_in_ball(problem, w, duals, ray)
    if stationary_points.covers(problem):
        return _certify_first_order(problem, w, duals)
    if needs_multipliers(problem) or (ray is not None and kkt.covers(problem)):
        return _certify_rows(problem, w, duals, ray, is_brief)
    here = examine(problem, w)
    return _certified(problem, w, here, lower_bound, tree)


def certify_once(problem, w):
    """`certify_private` of a problem that needs no multipliers, for a point that is looked at once."""
    return _certified(problem, w, examine_once(problem, w), -np.inf, None)


def certify_few(problem, point, here):
    """The same for a point of few nonzeros and its examination, as `examine_few` gives it."""
    w = point if problem.constraint is None else point.to_array()
    return packed(_certified(problem, w, here, -np.inf, None))


def certify_little_lasso(problem, w):
    """The same for a little loss and alpha |w|, in one call of a kernel."""
    values, means, _, at_zero = problem.loss.little
    target = problem.loss.target
    objective, bound, distance = look_at_lasso(
        values, means, target, problem.penalty.alpha, w, at_zero, ROUNDING, np.empty_like(target)
    )
    return _proven(w, objective, bound, distance, _FLOOR * at_zero)


def certify_row(problem, w, looks, row):
    """The same for a point without a constraint, that is one row of several that were looked at together."""
    return _proven(w, *(float(column[row]) for column in looks[:3]), _FLOOR * size_at_zero(problem))


def _proven(w, objective, bound, distance, least):
    """Of a point that no constraint can reject."""
    proof, bound = ("duality", bound) if bound > -np.inf else ("stationarity", -np.inf)
    return Certificate(objective, bound, 0.0, distance, proof, max(abs(objective), least), w=w)


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
        reference=max(abs(here.objective), _FLOOR * size_at_zero(problem)),
        w=w,
        tree=tree if proof == "bound" else None,
        remark=separation(problem, w) if proof == "stationarity" else "",
    )


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


def _certify_in_ball(problem, w, duals, ray):
    """What is proven of w by the problem in which the norm has a price: that of `duals`, or none."""
    radius, objective = priced_ball.radius_of(problem), problem.objective(w)
    # a negative price proves nothing
    price = 0.0 if duals is None else max(0.0, float(duals.ball))
    is_proof_of_none = price == np.inf
    inner = priced_ball.least_norm(problem) if is_proof_of_none else priced_ball.priced(problem, price, in_box=True)
    here = certify_private(inner, w, duals=duals, ray=ray)
    if here.proof == "unbounded ray":  # the ball ends it
        here = certify_private(inner, w, duals=duals)
    bound, proof = priced_ball.bound_with_price(here.lower_bound, price, radius), here.proof
    if is_proof_of_none:
        bound, proof = (np.inf, "infeasible ray") if here.lower_bound > radius else (-np.inf, "stationarity")
    return replace(
        here,
        objective=objective,
        lower_bound=bound,
        violation=problem.violation(w),
        proof=proof,
        reference=max(abs(objective), _FLOOR * abs(objective_at_zero(problem))),
        duals=duals,
    )


def _certify_first_order(problem, w, duals):
    """Stationarity, violation and complementarity of w; a bound where the rows are linear and all else is convex and known."""
    objective = problem.objective(w)
    found = stationary_points.first_order(problem, w, duals)
    bound = multiplier_bound(problem, w, found.duals, objective)
    is_proven = bound > -np.inf
    start = objective_at_zero(problem) if is_proven else 0.0
    return Certificate(
        objective=objective,
        lower_bound=bound,
        violation=problem.violation(w),
        stationarity=found.stationarity,
        complementarity=found.complementarity,
        proof="duality" if is_proven else "stationarity",
        reference=max(abs(objective), _FLOOR * abs(start) if np.isfinite(start) else 0.0),
        w=w,
        duals=found.duals,
    )


def _certify_rows(problem, w, duals, ray, is_brief=False):
    """What multipliers or a ray prove of w; multipliers are recovered from w where none are given."""
    if not kkt.covers(problem):
        return _certify_first_order(problem, w, duals)
    found = None
    if ray is None:
        duals_at = recover_duals(problem, w) if duals is None else duals
        found = kkt.kkt_residuals(problem, w, duals_at, has_bound=not is_brief)
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
        if check_primal_ray(problem, ray).holds:
            return replace(unproven, lower_bound=np.inf, proof="infeasible ray")
        if check_dual_ray(problem, ray).holds:
            return replace(unproven, proof="unbounded ray")
        return replace(certify_private(problem, w, duals=duals), ray=ray)
    if is_brief:
        return replace(unproven, remark="the run ended before it was known whether Q is convex")
    if isinstance(problem.loss, Quadratic) and (curvature := least_curvature(problem.loss)) < 0.0:
        return replace(unproven, remark=f"Q has negative curvature {curvature:.2g}")
    return replace(
        unproven, lower_bound=max(found.lower_bound, multiplier_bound(problem, w, duals_at, objective)), proof="kkt"
    )


def certify_program(problem, w, duals):
    """What multipliers prove of w for a convex quadratic program under rows, sparse or small; None of another one."""
    if (found := look(problem, w, duals)) is None:
        return None
    objective, violation, dual, bound = found
    return filled(
        Certificate,
        objective=objective,
        lower_bound=bound,
        violation=violation,
        stationarity=dual,
        proof="kkt",
        reference=abs(objective),  # that of zero is zero
        dual_residual=dual,
        complementarity=np.nan,
        w=w,
        duals=duals,
        ray=None,
        tree=None,
        remark="",
    )


def _certify_worst(problem, w, lower_bound, duals):
    """What weights of the losses prove of w for the worst of them; found from w where none are given."""
    objective = problem.objective(w)
    weights = None if duals is None else duals.losses
    # any weights prove a bound, but those that are no numbers
    weights = weights_at(problem, w) if weights is None or not np.all(np.isfinite(weights)) else weights
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
