"""Design matrices: what a loss needs of X, dense or sparse, plain or centred.

One canonical form for each storage keeps the number of compiled variants small: dense X is
Fortran-ordered, sparse X is CSC with sorted int32 indices (int64 beyond 2**31 entries), both
in float32 or float64. X is copied only where it is lent in another form.

In the comments u and eta are vectors with one entry per row and one more: the spare entry
holds the common shift of a centred sparse design, whose zeros would otherwise be filled.
"""

from sparseopt.designs.base import Design as Design
from sparseopt.designs.base import copies_of as copies_of
from sparseopt.designs.base import held_curvature as held_curvature
from sparseopt.designs.base import keeping_copies as keeping_copies
from sparseopt.designs.centring import centered as centered
from sparseopt.designs.centring import uncentered as uncentered
from sparseopt.designs.csc import CSC as CSC
from sparseopt.designs.csc import CenteredCSC as CenteredCSC
from sparseopt.designs.dense import CenteredDense as CenteredDense
from sparseopt.designs.dense import Dense as Dense
