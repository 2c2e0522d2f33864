"""Groups that overlap, by latent copies of the coefficients they share (Jacob, Obozinski and Vert, 2009).

A coefficient in k groups is the sum of k latent ones, one in each group; the groups of latent
coefficients are disjoint. The loss sees the sum, so X is not copied: the design of the latent
coefficients names each column of X as often as there are copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.designs import Design
from sparseopt.losses import LeastSquares, Loss, SampleLoss
from sparseopt.losses.base import rebuilt


@dataclass(frozen=True, eq=False)
class Repeated(Design):
    """Columns of another design, in any order and more than once, without a copy of them."""

    inner: Design
    columns: np.ndarray

    def pull(self, j, u):
        return self.inner.pull(self.columns[j], u)

    def push(self, j, step, weight, u):
        self.inner.push(self.columns[j], step, weight, u)

    def push_through(self, j, step, loss, eta, u):
        self.inner.push_through(self.columns[j], step, loss, eta, u)

    def at(self, i):
        """Weight of row i in `forward`."""
        return 1

    def forward(self, w, eta):
        for i in range(eta.size):
            eta[i] = 0
        for j in range(w.size):
            if w[j] != 0:
                self.inner.push(self.columns[j], w[j], self, eta)
        # the spare entry holds the common shift of a centred sparse design
        shift = eta[eta.size - 1]
        if shift != 0:
            for i in range(eta.size):
                eta[i] -= shift

    def adjoint(self, u, out):
        for j in range(out.size):
            out[j] = self.pull(j, u)

    @property
    def shape(self):
        return self.inner.shape[0], self.columns.size

    @property
    def dtype(self):
        return self.inner.dtype

    @property
    def n_entries(self):
        """Entries of the other design that are read in one pass."""
        return self.inner.n_entries * self.columns.size // max(self.inner.shape[1], 1)

    @property
    def matrix(self):
        """The matrix with its copies, before any centring: a copy."""
        return self.inner.matrix[:, self.columns]

    @property
    def means(self):
        """Means of the columns of a centred design."""
        return self.inner.means[self.columns]

    def matvec(self, w):
        return self.inner.matvec(self.folded(w))

    def rmatvec(self, u):
        return self.inner.rmatvec(u)[self.columns]

    def restrict(self, columns):
        return self.inner.restrict(self.columns[columns])

    def weighted_squares(self, weights):
        return self.inner.weighted_squares(weights)[self.columns]

    def to_array(self):
        return self.inner.to_array()[:, self.columns]

    def columns_as_rows(self, columns):
        return self.inner.columns_as_rows(self.columns[columns])

    def folded(self, w):
        """The sum of the copies of each coefficient."""
        return np.bincount(self.columns, w, minlength=self.inner.shape[1]).astype(w.dtype)


@dataclass(frozen=True, eq=False)
class OverlappingGroups:
    """A loss of latent coefficients, and the disjoint groups that they form.

    Attributes
    ----------
    loss : Loss
        Of one latent coefficient for each member of a group; it shares X with the loss given.
    groups : tuple of arrays
        The latent coefficients of each group, for `GroupLasso` and the like.
    """

    loss: Loss
    groups: tuple

    def fold(self, v):
        """The coefficients w that latent ones v stand for, each the sum of its copies."""
        return self.loss.X.folded(np.asarray(v))


def overlapping_groups(loss, groups):
    """The problem of groups that share coefficients, in latent copies of these.

    The penalty of w is then the least sum of the groups' penalties over all ways to split w into
    parts, one a group (Jacob et al., 2009): nonzeros of the solution are a union of groups. X is not
    copied; vectors of coefficients have one entry for each member of a group, and a pass over the
    latent columns reads a column of X once for each group that holds it.

    Parameters
    ----------
    loss : LeastSquares or a loss on samples
    groups : list of index arrays
        Each coefficient in at least one group.

    Returns
    -------
    OverlappingGroups

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import GroupLasso, LeastSquares, Problem, overlapping_groups, solve
    >>> loss = LeastSquares(np.eye(3), [3.0, 2.0, 0.1])
    >>> split = overlapping_groups(loss, [[0, 1], [1, 2]])
    >>> solution = solve(Problem(split.loss, GroupLasso(0.1, split.groups)))
    >>> np.flatnonzero(split.fold(solution.w))
    array([0, 1])
    """
    if not isinstance(loss, LeastSquares | SampleLoss):
        raise TypeError(f"overlapping_groups takes LeastSquares or a loss on samples, got {type(loss).__name__}.")
    members = [np.asarray(group) for group in groups]
    for g, group in enumerate(members):
        if group.ndim != 1 or group.size == 0 or group.dtype.kind not in "iu" or np.unique(group).size < group.size:
            raise ValueError(f"group {g} must be a vector of different coefficient indices, got {groups[g]!r:.60}.")
    columns = np.concatenate([*members, np.empty(0, dtype=np.int64)]).astype(np.int64)
    p = loss.n_features
    if columns.size and not (columns.min() >= 0 and columns.max() < p):
        raise ValueError(
            f"groups hold indices from {columns.min()} to {columns.max()}, but there are {p} coefficients."
        )
    if missing := np.flatnonzero(np.bincount(columns, minlength=p) == 0).tolist():
        raise ValueError(
            f"coefficient {missing[0]} is in no group; add it, for example as a group of one "
            "with weight 0 where it is not to be penalised."
        )
    columns.flags.writeable = False
    parts = np.split(np.arange(columns.size), np.cumsum([group.size for group in members])[:-1])
    return OverlappingGroups(rebuilt(loss, X=Repeated(loss.X, columns), names=None), tuple(parts))
