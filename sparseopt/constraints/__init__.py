"""Constraints: sets of coefficients, each with its projection and its violation."""

from sparseopt.constraints.nonlinear import NonlinearConstraint as NonlinearConstraint
from sparseopt.constraints.semicontinuous import SemiContinuous as SemiContinuous
from sparseopt.constraints.sets import Box as Box
from sparseopt.constraints.sets import Duals as Duals
from sparseopt.constraints.sets import Intersection as Intersection
from sparseopt.constraints.sets import L1Ball as L1Ball
from sparseopt.constraints.sets import LinearConstraint as LinearConstraint
from sparseopt.constraints.sets import Projectable as Projectable
from sparseopt.constraints.sets import Simplex as Simplex
from sparseopt.constraints.sets import as_constraint as as_constraint
from sparseopt.constraints.sets import simplex_shift as simplex_shift
from sparseopt.constraints.sets import violation as violation
from sparseopt.constraints.supports import Cardinality as Cardinality
from sparseopt.constraints.supports import Constraint as Constraint
from sparseopt.constraints.supports import Forbidden as Forbidden
from sparseopt.constraints.supports import GroupCardinality as GroupCardinality
from sparseopt.constraints.supports import Required as Required
from sparseopt.constraints.supports import RowCardinality as RowCardinality
from sparseopt.constraints.supports import StrongHierarchy as StrongHierarchy
from sparseopt.constraints.supports import SupportConstraint as SupportConstraint
