"""The best k blocks of rows of a matrix of weights: channels, each read through several weights of every output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparseopt.pruning.reconstruction import inverted
from sparseopt.pruning.row_selection import Choice, kicked

# Relative gain below which an exchange is rounding.
_LITTLE = 1e-10


@dataclass(frozen=True, eq=False)
class BlockSelection:
    """Subset selection over blocks of rows of W: tr(W'HW)/2 - tr(B'W), each block of `width` rows that stand together."""

    gram: np.ndarray
    cross: np.ndarray
    width: int

    @property
    def size(self) -> int:
        """Number of blocks."""
        return len(self.gram) // self.width

    @cached_property
    def _targets(self):
        """Cross moments with as few columns as have the same inner products, which are all that matters."""
        if self.cross.shape[1] <= len(self.gram):
            return self.cross
        U, sizes, _ = np.linalg.svd(self.cross, full_matrices=False)
        return U * sizes

    @cached_property
    def elimination(self) -> tuple[np.ndarray, np.ndarray]:
        """Blocks from the first to go to the last, and the loss of each as it goes (OSSCAR, 2024)."""
        size, width = self.size, self.width
        inverse = inverted(self.gram)
        W = inverse @ self._targets
        left, order, losses = np.arange(size), np.empty(size, np.intp), np.empty(size)
        for step in range(size):
            # of a block that goes: tr(W_j' [H^-1]_jj^-1 W_j) / 2, the others refitted
            blocks = inverse.reshape(size, width, size, width)[left, :, left]
            costs = _energies(blocks, W.reshape(size, width, -1)[left])
            at = int(np.argmin(costs))
            order[step], losses[step] = left[at], costs[at]
            rows = slice(left[at] * width, (left[at] + 1) * width)
            column = np.linalg.solve(blocks[at], inverse[rows]).T
            W, inverse = W - column @ W[rows], inverse - column @ inverse[rows]
            left = np.delete(left, at)
        return order, losses

    def exchanged(self, support) -> np.ndarray:
        """The support after exchanges of one block for another, each time the best, until none gains."""
        support, before, best = np.asarray(support), support, np.inf
        while True:
            inverse, W, height = self._fit(support)
            if height >= best - _LITTLE * abs(height):
                return before
            best, before = height, support
            others = np.setdiff1d(np.arange(self.size), support)
            if others.size == 0:
                return support
            gains = self._gains(support, others, inverse, W)
            j, i = np.unravel_index(np.argmax(gains), gains.shape)
            support = np.sort(np.append(np.delete(support, j), others[i]))

    def best(self, count, kicks, _proof_time=0.0) -> Choice:
        """The best blocks that are found; nothing is proven of them."""
        kept = np.zeros(self.size, bool)
        kept[kicked(self, self.size, count, kicks) if count < self.size else slice(None)] = True
        return Choice(kept)

    def loss(self, support) -> float:
        """Least value with these blocks."""
        return self._fit(support)[2]

    def _rows(self, blocks):
        return (np.asarray(blocks)[:, None] * self.width + np.arange(self.width)).ravel()

    def _fit(self, support):
        """Inverse Gram matrix of some blocks, their weights and the least value."""
        rows = self._rows(support)
        inverse = inverted(self.gram[np.ix_(rows, rows)])
        W = inverse @ self._targets[rows]
        return inverse, W, -float(np.sum(W * self._targets[rows])) / 2

    def _gains(self, support, others, inverse, W):
        """What each exchange gains, of shape (support, others)."""
        k, m, width = support.size, others.size, self.width
        inside, outside = self._rows(support), self._rows(others)
        between = self.gram[np.ix_(inside, outside)]
        P = inverse @ between
        slopes = (self._targets[outside] - between.T @ W).reshape(m, width, -1)
        own = self.gram.reshape(self.size, width, self.size, width)[others, :, others]
        curvature = own - between.reshape(-1, m, width).transpose(1, 2, 0) @ P.reshape(-1, m, width).transpose(1, 0, 2)
        C, gains = inverse.reshape(k, width, k, width), np.empty((k, m))
        for j in range(k):
            # Without block j the slopes at i are s_i + P_ji' C_jj^-1 W_j, their curvature D_i + P_ji' C_jj^-1 P_ji.
            mine = slice(j * width, (j + 1) * width)
            Pj = P[mine].reshape(width, m, width).transpose(1, 0, 2)
            weighted = np.linalg.solve(C[j, :, j], P[mine]).reshape(width, m, width).transpose(1, 2, 0)
            cost = _energies(C[j, :, j][None], W[mine][None])[0]
            gains[j] = _energies(curvature + weighted @ Pj, slopes + weighted @ W[mine]) - cost
        return gains


def _energies(blocks, W):
    """tr(W' D^-1 W) / 2 for each of some blocks D."""
    return np.einsum("ijk,ijk->i", W, np.linalg.solve(blocks, W)) / 2
