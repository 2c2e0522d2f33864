"""Which solver takes a problem where none is named."""

from __future__ import annotations

from sparseopt.curvature import is_nearly_flat, least_curvature
from sparseopt.losses import DualLoss, LeastSquares, Loss, Quadratic, SampleLoss
from sparseopt.penalties import Penalty, Zero
from sparseopt.problem import is_priced
from sparseopt.programs.dense_program import dense_program
from sparseopt.programs.row_subsets import RowSubset
from sparseopt.proofs import kkt, priced_ball
from sparseopt.proofs.kinds import is_composed, needs_multipliers
from sparseopt.solvers.active_set import SLIM, ActiveSet, n_sides
from sparseopt.solvers.augmented_lagrangian import AugmentedLagrangian
from sparseopt.solvers.block_descent import BlockDescent
from sparseopt.solvers.constrained_working_set import ConstrainedWorkingSet
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.coupled_newton import CoupledNewton
from sparseopt.solvers.gram_descent import GramDescent
from sparseopt.solvers.hard_thresholding import HardThresholding
from sparseopt.solvers.interior_point import InteriorPoint
from sparseopt.solvers.local_search import LocalSearch
from sparseopt.solvers.minimax import Minimax
from sparseopt.solvers.minimax_search import MinimaxSearch
from sparseopt.solvers.monotone import MonotoneWorkingSet
from sparseopt.solvers.prox_newton import ProxNewton
from sparseopt.solvers.proximal_gradient import ProximalGradient
from sparseopt.solvers.row_descent import RowDescent
from sparseopt.solvers.slope_working_set import SlopeWorkingSet
from sparseopt.solvers.smoothed_minimax import SmoothedMinimax
from sparseopt.solvers.splitting import Splitting
from sparseopt.solvers.subsets.endless import endless_features
from sparseopt.solvers.tied_newton import TiedNewton
from sparseopt.solvers.working_set import WorkingSet

# Entries of X up to which plain descent is quicker than working sets, where these cannot begin with all features:
# 1.1 to 3.9 times on designs from 120 x 500 to 1000 x 5000 (sparse); at 300 x 1000 (dense) both take the same time.
_LITTLE = 130_000
# Rows and coefficients up to which the changes of an active set take less time than the iterations of an interior
# point: 1.7 to 2.4 times on portfolios and random rows up to 150 coefficients; a linear program takes a third more at 60.
_FEW_SIDES = 120
# Solvers are frozen, so that one of each serves all runs.
FEW, _SORTED, _SUBSETS, _MONOTONE = GramDescent(), SlopeWorkingSet(), LocalSearch(), MonotoneWorkingSet()
SIDES, INSIDE = ActiveSet(), InteriorPoint()
_THRESHOLDS = HardThresholding(), AugmentedLagrangian()
_WORST = MinimaxSearch(), Minimax(), SmoothedMinimax()
_COUPLED, _QUICK = (RowDescent(), CoupledNewton()), (WorkingSet(), ProxNewton())
_GROUPS, _TIED = BlockDescent(), TiedNewton()


def default_solver(problem):
    """The solver that `solve` takes where none is given.

    ================================  =================
    problem                           solver
    ================================  =================
    a best subset of least squares    LocalSearch
    a support under linear rows       LocalSearch
    at most k nonzeros otherwise      HardThresholding
    the worst of several losses       Minimax
    the same, a best subset           MinimaxSearch
    the same, large both ways         SmoothedMinimax
    several responses                 RowDescent
    Cox or Multinomial                CoupledNewton
    a penalty of a linear map         Splitting
    least squares and SLOPE           SlopeWorkingSet
    few linear rows and an L1 term    ConstrainedWorkingSet
    monotone least squares            MonotoneWorkingSet
    linear rows of a quadratic        InteriorPoint
    the same, few rows and bounds     ActiveSet
    a quadratic, no penalty or rows   InteriorPoint
    few coefficients, almost flat     ActiveSet
    other rows, functions of yours    AugmentedLagrangian
    least squares and a penalty       WorkingSet
    the same, dense, on few features  GramDescent
    the same on little data           CoordinateDescent
    a sum over samples and a penalty  ProxNewton
    another loss and a penalty        CoordinateDescent
    least squares on groups           BlockDescent
    samples on groups                 TiedNewton
    one on the whole vector, a ball   TiedNewton
    the same without f'' or prox'     ProximalGradient
    ================================  =================

    Few rows and bounds around a dense Q that is singular are left to one call of InteriorPoint, where that ends on the
    sides that hold the solution: the active set takes proximal points there, in several times the time. Up to 20
    coefficients under more rows, around a dense Q that is definite, are solved by ActiveSet where one call is enough.

    In an L1 ball with other constraints or a penalty, it is the solver of the problem that has a price for the norm instead.
    """
    if little := _for_little(problem):
        return little
    if not isinstance(problem.loss, Loss):
        return next((solver for solver in _WORST if solver.rejects(problem) is None), _WORST[1])
    if problem.chooses_support and (solver := _for_supports(problem)):
        return solver
    if is_composed(problem):
        return Splitting()
    if _SORTED.rejects(problem) is None:
        return _SORTED
    if needs_multipliers(problem):
        return _under_rows(problem)
    if isinstance(problem.loss, Quadratic) and (solver := _without_rows(problem)):
        return solver
    if isinstance(problem.loss, DualLoss):
        for solver in _COUPLED:
            if solver.rejects(problem) is None:
                return solver
    if isinstance(problem.proximal, Penalty):
        if _is_little(problem):
            return CoordinateDescent()
        quick = (solver for solver in _QUICK if solver.rejects(problem) is None)
        return next(quick, CoordinateDescent())
    # of least squares and quadratics on groups descent itself takes Newton steps
    order = (_TIED, _GROUPS) if isinstance(problem.loss, SampleLoss) else (_GROUPS, _TIED)
    return next((solver for solver in order if solver.rejects(problem) is None), ProximalGradient())


def has_few_sides(problem):
    """Whether a problem is a small dense quadratic under rows, which `SIDES` solves where it is convex."""
    program = dense_program(problem)
    return program is not None and program.n_sides <= _FEW_SIDES


def has_few_coefficients(problem):
    """Whether a problem is a small dense quadratic on which one call of an active set is worth a try, however many rows it has."""
    program = dense_program(problem)
    return program is not None and (program.n_sides <= _FEW_SIDES or program.lower.size <= SLIM)


def _for_little(problem):
    """The solver of a problem with few features or sides, which chooses no support; None of another one."""
    if has_few_sides(problem) and least_curvature(problem.loss) == 0.0:
        return SIDES
    return FEW if FEW.rejects(problem) is None else None


def _for_supports(problem):
    """The solver of a problem that chooses a support; None where another rule knows one."""
    if not problem.loss.is_compiled:
        return None
    is_quadratic = isinstance(problem.loss, Quadratic | LeastSquares)
    # of a quadratic under rows, or one that falls without end, it says itself what it does not take
    speaks = is_quadratic and (RowSubset.has_rows(problem) or endless_features(problem) is not None)
    if speaks or _SUBSETS.rejects(problem) is None:
        return _SUBSETS
    if problem.proximal is None:
        # where none takes it, the one whose reason says most
        last = _SUBSETS if is_priced(problem.penalty) else _THRESHOLDS[0]
        return next((solver for solver in _THRESHOLDS if solver.rejects(problem) is None), last)
    return None


def _under_rows(problem):
    """The solver of a problem with linear rows, or with functions of the user's."""
    if priced_ball.covers(problem):
        return default_solver(priced_ball.priced(problem, 1.0))
    if not (isinstance(problem.loss, Quadratic | LeastSquares) and kkt.covers(problem)):
        return AugmentedLagrangian()
    if _MONOTONE.rejects(problem) is None:
        return _MONOTONE
    # of a quadratic these say themselves why they do not take it: for negative curvature, say
    if ConstrainedWorkingSet.pays(problem):
        return ConstrainedWorkingSet()
    if n_sides(problem) > _FEW_SIDES:
        return InteriorPoint()
    # a curvature that rounding made is taken by the interior point method only
    is_convex = isinstance(problem.loss, LeastSquares) or least_curvature(problem.loss) == 0.0
    return SIDES if is_convex else InteriorPoint()


def _without_rows(problem):
    """The solver of a quadratic that coordinate descent would take long for, or not see to be unbounded; None of another."""
    if not kkt.covers(problem) or least_curvature(problem.loss) < 0.0:
        return None
    if n_sides(problem) <= _FEW_SIDES:
        return SIDES if is_nearly_flat(problem.loss) else None
    return InteriorPoint() if isinstance(problem.proximal, Zero) else None


def _is_little(problem):
    """Whether all features are visited in less time than a working set takes to be chosen."""
    if not (isinstance(problem.loss, LeastSquares) and problem.proximal.is_convex):
        return False
    p = problem.n_features
    return p > WorkingSet.fewest and problem.loss.n_entries + p <= _LITTLE
