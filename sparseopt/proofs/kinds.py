"""Which kind of proof a problem can have."""

from __future__ import annotations

from sparseopt.losses import Loss
from sparseopt.losses.base import kept
from sparseopt.penalties import ProximalTerm
from sparseopt.problem import is_plain_program
from sparseopt.proofs import stationary_points


def needs_multipliers(problem):
    """Whether a point alone has no simple dual.

    There are rows, functions of the user's, a penalty of a linear map, or several losses.
    """
    return kept(problem, "_needs_multipliers", lambda: _has_no_simple_dual(problem))


def _has_no_simple_dual(problem):
    if is_plain_program(problem):
        return True
    if is_composed(problem) or not isinstance(problem.loss, Loss) or stationary_points.covers(problem):
        return True
    return problem.constraint is not None and problem.proximal is None and not problem.chooses_support


def is_composed(problem):
    """Whether the penalty has no prox of its own: it is one of a linear map of w."""
    return not isinstance(problem.penalty, ProximalTerm)
