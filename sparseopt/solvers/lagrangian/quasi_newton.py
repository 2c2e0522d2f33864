"""A positive definite model of a second derivative, from changes of the gradient: BFGS, damped.

Powell's (1978) damping keeps the matrix positive definite where the function curves the other way, as a
Lagrangian does. A small matrix is kept as it is; a large one as theta I - W M^-1 W' of its last changes
(Byrd, Nocedal and Schnabel, 1994).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# Coefficients up to which the matrix is formed.
_SMALL = 300
# Changes that are remembered beyond that.
_MEMORY = 20
# Part of the model's curvature along a move that is kept at least.
_DAMPING = 0.2
# Least curvature: the square of a change of the gradient may be too small for a number.
_LEAST = 1e-8


@dataclass(eq=False)
class QuasiNewton:
    """A model B of the second derivative of a function of p coefficients, which begins as theta I."""

    p: int
    theta: float = 1.0
    matrix: np.ndarray | None = None
    moves: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    W: np.ndarray | None = None
    middle: np.ndarray | None = None
    is_new: bool = True

    def product(self, d):
        """B d."""
        if self.matrix is not None:
            return self.matrix @ d
        if self.W is None:
            return self.theta * d
        return self.theta * d - self.W @ np.linalg.solve(self.middle, self.W.T @ d)

    def diagonal(self):
        """The diagonal of B."""
        if self.matrix is not None:
            return self.matrix.diagonal().copy()
        if self.W is None:
            return np.full(self.p, self.theta)
        return self.theta - np.sum(self.W * np.linalg.solve(self.middle, self.W.T).T, axis=1)

    def block(self, features):
        """B on some coefficients, as a new array."""
        if self.matrix is not None:
            return self.matrix[np.ix_(features, features)]
        block = np.zeros((features.size, features.size))
        block.flat[:: features.size + 1] = self.theta
        if self.W is not None:
            W = self.W[features]
            block -= W @ np.linalg.solve(self.middle, W.T)
        return block

    @property
    def rank(self):
        """How many directions curve otherwise than by theta; all where the matrix is kept as it is."""
        if self.matrix is not None:
            return self.p
        return 0 if self.W is None else self.W.shape[1]

    def low_rank(self, features):
        """W and M of theta I - W M^-1 W' on some coefficients."""
        if self.W is None:
            return np.zeros((features.size, 0)), np.zeros((0, 0))
        return self.W[features], self.middle

    def update(self, move, change):
        """Learn that the gradient changes by `change` along a move; a damped change where it says too little."""
        bent = self.product(move)
        length, curved, seen = float(move @ move), float(move @ bent), float(move @ change)
        if not (length > 0.0 and curved > 0.0 and np.all(np.isfinite(change))):
            return
        if self.is_new and seen > 0.0:
            # the size of the first change is that of the matrix (Nocedal and Wright, 2006, 6.20)
            self.theta = max(float(change @ change) / seen, _LEAST)
            bent, curved = self.theta * move, self.theta * length
        self.is_new = False
        if seen < _DAMPING * curved:
            part = (1.0 - _DAMPING) * curved / (curved - seen)
            change = part * change + (1.0 - part) * bent
            seen = _DAMPING * curved
        if not (seen > 1e-16 * length and curved > 0.0):
            return
        if self.p <= _SMALL:
            if self.matrix is None:
                self.matrix = self.theta * np.eye(self.p)
            self.matrix += np.outer(change, change / seen) - np.outer(bent, bent / curved)
            return
        self._remember(move, change, seen)

    def _remember(self, move, change, seen):
        self.moves, self.changes = [*self.moves[1 - _MEMORY :], move], [*self.changes[1 - _MEMORY :], change]
        self.theta = max(float(change @ change) / seen, _LEAST)
        S, Y = np.column_stack(self.moves), np.column_stack(self.changes)
        inner = S.T @ Y
        lower = np.tril(inner, -1)
        self.W = np.hstack([self.theta * S, Y])
        self.middle = np.block([[self.theta * (S.T @ S), lower], [lower.T, -np.diag(inner.diagonal())]])
