"""Laws that every term and solver keeps: the first thing to run on one of your own.

Each check calls the methods as plain Python first, where a mistake shows as an ordinary error,
and compiled after that. It returns nothing, and raises AssertionError at the first point where
a law fails. Use small data: plain Python is slow.
"""

from sparseopt.poisoning import poisoned as poisoned
from sparseopt.testing.constraints import check_constraint as check_constraint
from sparseopt.testing.derivatives import check_derivatives as check_derivatives
from sparseopt.testing.losses import check_loss as check_loss
from sparseopt.testing.solvers import check_solver as check_solver
from sparseopt.testing.terms import check_penalty as check_penalty
from sparseopt.testing.terms import check_term as check_term
