"""Penalties: the term g(w), by its value and its proximal operator.

A penalty of your own is a frozen dataclass with `value` and `prox` in plain Python; every
solver takes it. `sparseopt.testing.check_penalty` tells whether the two belong together.
"""

from sparseopt.penalties.base import Penalty as Penalty
from sparseopt.penalties.base import PenaltyTerm as PenaltyTerm
from sparseopt.penalties.base import ProximalTerm as ProximalTerm
from sparseopt.penalties.composed import Composed as Composed
from sparseopt.penalties.composed import TrendFiltering as TrendFiltering
from sparseopt.penalties.concave import LHalf as LHalf
from sparseopt.penalties.concave import LogSum as LogSum
from sparseopt.penalties.concave import LTwoThirds as LTwoThirds
from sparseopt.penalties.differences import FusedLasso as FusedLasso
from sparseopt.penalties.differences import TotalVariation as TotalVariation
from sparseopt.penalties.exclusive import ExclusiveLasso as ExclusiveLasso
from sparseopt.penalties.groups import BlockPenalty as BlockPenalty
from sparseopt.penalties.groups import GroupLasso as GroupLasso
from sparseopt.penalties.groups import GroupMCP as GroupMCP
from sparseopt.penalties.groups import GroupSCAD as GroupSCAD
from sparseopt.penalties.groups import SparseGroupLasso as SparseGroupLasso
from sparseopt.penalties.rules import Boxed as Boxed
from sparseopt.penalties.rules import Nonnegative as Nonnegative
from sparseopt.penalties.rules import Ridged as Ridged
from sparseopt.penalties.rules import Weighted as Weighted
from sparseopt.penalties.rules import concavity as concavity
from sparseopt.penalties.rules import elastic_net as elastic_net
from sparseopt.penalties.rules import straightened as straightened
from sparseopt.penalties.rules import strengthened as strengthened
from sparseopt.penalties.separable import L0 as L0
from sparseopt.penalties.separable import L0L1 as L0L1
from sparseopt.penalties.separable import L1 as L1
from sparseopt.penalties.separable import MCP as MCP
from sparseopt.penalties.separable import SCAD as SCAD
from sparseopt.penalties.separable import Zero as Zero
from sparseopt.penalties.slope import SLOPE as SLOPE
