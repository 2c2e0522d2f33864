"""Walks over rows of several responses, over groups, and over features with bounds or an L1 norm.

The names Q, C, b, c and d are those of `kernels/swaps.py`.
"""

from __future__ import annotations

import itertools

import numpy as np

from sparseopt.solvers.subsets.support_fit import best_on_support
from sparseopt.solvers.subsets.unit_walk import FLAT, UnitWalk, inverse_of

# A slope above this part of the largest is none of rounding.
_SLOPE = 1e-8


class RowWalk(UnitWalk):
    """Features, each with a coefficient for every response: Q and C are shared, gains are summed over responses."""

    def __init__(self, gram, subset, rules):
        self.pull = np.atleast_2d(gram.pull)
        self.diagonal = gram.diagonal + subset.ridge
        self.floor = np.where(self.diagonal > 0.0, gram.rounding**FLAT * self.diagonal, np.inf)
        super().__init__(gram, subset, rules)

    @property
    def n_units(self):
        return self.diagonal.size

    def _renew(self):
        S = self.members
        H = self.gram.rows(S)
        self.Q, self.is_exact = self._inverse(H, S)
        self.C, self.B = self.Q @ H, self.Q @ self.pull[:, S].T
        self.c = self.pull - self.B.T @ H
        self.d = self.diagonal - np.einsum("ij,ij->j", self.C, H)
        self.height = self.gram.constant - 0.5 * float(np.sum(self.B * self.pull[:, S].T))

    @property
    def b(self):
        """Coefficients of the members, a row each where there are several responses."""
        return self.B[:, 0] if self.gram.pull.ndim == 1 else self.B

    def _height_of(self, members):
        H = self.gram.rows(members)
        Q, _ = self._inverse(H, members)
        q = self.pull[:, members].T
        return self.gram.constant - 0.5 * float(np.sum(q * (Q @ q)))

    def _entry_gains(self):
        return self._over(np.sum(self.c**2, axis=0), self.d)

    def _swap_gains(self, i):
        if not self.Q[i, i] > 0.0:  # a column of zeros
            return self._entry_gains()
        ratio, part = self.B[i] / self.Q[i, i], 1.0 / self.Q[i, i]
        num = np.sum((self.c + np.multiply.outer(ratio, self.C[i])) ** 2, axis=0)
        return self._over(num, self.d + part * self.C[i] ** 2) - 0.5 * float(self.B[i] @ ratio)

    def _over(self, num, den):
        is_curved = den > self.floor
        return np.where(is_curved, 0.5 * num / np.where(is_curved, den, 1.0), 0.0)

    def _exit_losses(self):
        Q = np.diagonal(self.Q)
        return 0.5 * np.sum(self.B**2, axis=1) / np.where(Q > 0.0, Q, np.inf)


class GroupWalk(UnitWalk):
    """Groups of features that are in or out together: the formulas with blocks in the places of numbers."""

    def __init__(self, gram, subset, rules):
        self.groups = subset.groups
        self.sizes = np.array([group.size for group in self.groups])
        self.G = [gram.block(group) + subset.ridge * np.eye(group.size) for group in self.groups]
        super().__init__(gram, subset, rules)

    @property
    def n_units(self):
        return len(self.groups)

    def _features(self, members):
        return np.concatenate([self.groups[g] for g in members]) if len(members) else np.empty(0, dtype=np.intp)

    def _renew(self):
        S = self._features(self.members)
        self.H = self.gram.rows(S)
        self.Q, self.is_exact = self._inverse(self.H, S)
        self.C, self.b = self.Q @ self.H, self.Q @ self.gram.pull[S]
        self.c = self.gram.pull - self.b @ self.H
        self.height = self.gram.constant - 0.5 * float(self.b @ self.gram.pull[S])
        starts = np.concatenate([[0], np.cumsum(self.sizes[self.members])]).astype(int)
        self.places = [slice(a, b) for a, b in itertools.pairwise(starts)]
        self.D = [G - self.C[:, group].T @ self.H[:, group] for G, group in zip(self.G, self.groups, strict=True)]

    @property
    def features(self):
        """Features of the members, in the order of `b`."""
        return self._features(self.members)

    def _height_of(self, members):
        S = self._features(members)
        Q, _ = self._inverse(self.gram.rows(S), S)
        return self.gram.constant - 0.5 * float(self.gram.pull[S] @ Q @ self.gram.pull[S])

    def _entry_gains(self):
        return self._gains(self.c, self.D)

    def _swap_gains(self, i):
        own = self.places[i]
        inner = inverse_of(self.Q[own, own], self.flat)
        C, pulled = self.C[own], inner @ self.b[own]
        D = [D + C[:, group].T @ inner @ C[:, group] for D, group in zip(self.D, self.groups, strict=True)]
        return self._gains(self.c + pulled @ C, D) - 0.5 * float(self.b[own] @ pulled)

    def _gains(self, c, D):
        """c_g' D_g^-1 c_g / 2 for each group, those of one size at once."""
        gains = np.zeros(len(self.groups))
        for size in np.unique(self.sizes):
            these = np.flatnonzero(self.sizes == size)
            blocks, own = np.array([D[g] for g in these]), np.array([c[self.groups[g]] for g in these])
            scale = np.array([np.sqrt(np.maximum(np.diagonal(self.G[g]), 1e-300)) for g in these])
            values, vectors = np.linalg.eigh(blocks / (scale[:, :, None] * scale[:, None, :]))
            parts = np.einsum("gij,gi->gj", vectors, own / scale)
            is_curved = values > self.flat
            gains[these] = 0.5 * np.sum(np.where(is_curved, parts**2 / np.where(is_curved, values, 1.0), 0.0), axis=1)
        return gains

    def _exit_losses(self):
        return np.array(
            [0.5 * float(self.b[own] @ inverse_of(self.Q[own, own], self.flat) @ self.b[own]) for own in self.places]
        )


class BoundedWalk(UnitWalk):
    """Features with bounds or an L1 norm: a move is valued as if the others were free, and made if a refit agrees.

    With the features at their bounds held, and the signs of the others as they are, the formulas hold with
    c_j beyond l1 in the place of c_j, and a step that ends at the bound of j. To free what is held and to turn
    signs can only lose less, and to keep bounds can only gain less; so values rank moves, and refits decide.
    """

    is_exact = False

    def __init__(self, gram, subset, rules):
        p = gram.n_features
        self.diagonal = gram.diagonal + subset.ridge
        self.floor = np.where(self.diagonal > 0.0, gram.rounding**FLAT * self.diagonal, np.inf)
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        super().__init__(gram, subset, rules)

    @property
    def n_units(self):
        return self.diagonal.size

    def _fit(self, members):
        height, w = best_on_support(self.gram, self.subset, members)
        return height - self.subset.alpha * np.count_nonzero(w), w[members]

    def _height_of(self, members):
        return self._fit(members)[0]

    def _renew(self):
        self.height, w = self._fit(self.members)
        # what a bound or the L1 norm has put to zero leaves, unless it must stay
        while (gone := (w == 0.0) & ~self.rules.stays(self.members)).any():
            self.members, w = self.members[~gone], w[~gone]
        S = self.members
        self.b = w
        H = self.gram.rows(S)
        self.free = (w > self.lower[S]) & (w < self.upper[S]) & (w != 0.0)
        self.H = H
        F = S[self.free]
        self.Q, _ = self._inverse(H[self.free], F)
        self.C = self.Q @ H[self.free]
        self.c = self.gram.pull - w @ H
        self.d = self.diagonal - np.einsum("ij,ij->j", self.C, H[self.free])
        self.place = np.cumsum(self.free) - 1

    def _entry_gains(self):
        return self._gains(self.c, self.d)

    def _swap_gains(self, i):
        if self.free[i] and self.Q[self.place[i], self.place[i]] > 0.0:
            a = self.place[i]
            part = 1.0 / self.Q[a, a]
            c, d = self.c + (self.b[i] * part) * self.C[a], self.d + part * self.C[a] ** 2
        else:
            rest = self.H[i] - self.H[i, self.members[self.free]] @ self.C
            c, d = self.c + self.b[i] * rest, self.d
        return self._gains(c, d) - self._exit_loss(i)

    def _gains(self, c, d):
        is_curved = d > self.floor
        d = np.where(is_curved, d, 0.0)
        best = np.zeros(c.size)
        # without curvature a slope beyond rounding is followed to the bound
        least = np.where(is_curved, 0.0, _SLOPE * np.max(np.abs(self.gram.pull), initial=0.0))
        for slope, most in ((c, self.upper), (-c, -self.lower)):
            pull = np.maximum(slope - self.subset.l1, 0.0)
            room = np.where(is_curved | (np.isfinite(most) & (pull > least)), np.maximum(most, 0.0), 0.0)
            step = np.minimum(np.divide(pull, d, out=np.full(c.size, np.inf), where=is_curved), room)
            best = np.maximum(best, step * (pull - 0.5 * d * step))
        return best

    def _exit_loss(self, i):
        """What the exit of a member costs with the others in their places: free, or held."""
        w, j = float(self.b[i]), int(self.members[i])
        if self.free[i]:
            inverse = self.Q[self.place[i], self.place[i]]
            return 0.5 * w * w / inverse if inverse > 0.0 else 0.0
        slope = self.c[j] - self.subset.ridge * w - self.subset.l1 * np.sign(w)
        return slope * w + 0.5 * max(self.d[j], 0.0) * w * w

    def _exit_losses(self):
        return np.array([self._height_of(np.delete(self.members, i)) - self.height for i in range(self.size)])
