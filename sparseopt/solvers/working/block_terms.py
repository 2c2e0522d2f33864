"""Quadratics as descent on blocks sees them: the slope in some coefficients, and what a step of theirs changes.

The coefficients stand side by side in the order of the model; those of a block are d neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt._jit import Term

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@dataclass(frozen=True, eq=False)
class WholeBlocks(Term):
    """A loss, seen through some of its coefficients."""

    loss: Term
    features: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on."""
        for i in range(d):
            out[i] = self.loss.coordinate_slope(running, self.features[first + i])

    def move(self, running, first, d, step):
        """Update the running vector for steps of the d coefficients from `first` on."""
        for i in range(d):
            if step[i] != 0.0:
                self.loss.move(running, self.features[first + i], running.dtype.type(step[i]))
        self.loss.settle(running)


@dataclass(frozen=True, eq=False)
class GramBlocks(Term):
    """A quadratic with the matrix `gram`; its running vector is the slope."""

    gram: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on."""
        for i in range(d):
            out[i] = running[first + i]

    def move(self, running, first, d, step):
        """Update the slope, four rows at a time."""
        gram, k = self.gram, 0
        while k + 4 <= d:
            j, s, t, u, v = first + k, step[k], step[k + 1], step[k + 2], step[k + 3]
            for i in range(running.size):
                running[i] += s * gram[j, i] + t * gram[j + 1, i] + u * gram[j + 2, i] + v * gram[j + 3, i]
            k += 4
        while k < d:
            j, s = first + k, step[k]
            for i in range(running.size):
                running[i] += s * gram[j, i]
            k += 1


@dataclass(frozen=True, eq=False)
class ColumnBlocks(Term):
    """A quadratic through columns A; its running vector is A (w - w_0), `slopes` are those at w_0."""

    columns: np.ndarray
    slopes: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on, four columns at a time."""
        A, k, zero = self.columns, 0, self.columns.dtype.type(0)
        while k + 4 <= d:
            j, s, t, u, v = first + k, zero, zero, zero, zero
            for i in range(running.size):
                s += A[i, j] * running[i]
                t += A[i, j + 1] * running[i]
                u += A[i, j + 2] * running[i]
                v += A[i, j + 3] * running[i]
            out[k], out[k + 1], out[k + 2], out[k + 3] = s, t, u, v
            k += 4
        while k < d:
            j, s = first + k, zero
            for i in range(running.size):
                s += A[i, j] * running[i]
            out[k] = s
            k += 1
        for i in range(d):
            out[i] += self.slopes[first + i]

    def move(self, running, first, d, step):
        """Update the running vector, four columns at a time."""
        A, k, T = self.columns, 0, self.columns.dtype.type
        while k + 4 <= d:
            j, s, t, u, v = first + k, T(step[k]), T(step[k + 1]), T(step[k + 2]), T(step[k + 3])
            for i in range(running.size):
                running[i] += s * A[i, j] + t * A[i, j + 1] + u * A[i, j + 2] + v * A[i, j + 3]
            k += 4
        while k < d:
            j, s = first + k, T(step[k])
            for i in range(running.size):
                running[i] += s * A[i, j]
            k += 1


@dataclass(frozen=True, eq=False)
class SketchBlocks(Term):
    """The same through a sketch of all columns: integers of 16 bits, `units` of those that `features` are."""

    sketch: np.ndarray
    units: np.ndarray
    features: np.ndarray
    slopes: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on, five columns at a time: of fewer the last is read again."""
        A, f, end, T = self.sketch, self.features, first + d - 1, np.float32
        for k in range(first, first + d, 5):
            l, m, o, q = min(k + 1, end), min(k + 2, end), min(k + 3, end), min(k + 4, end)
            a, b, c, e, g = U(f[k]), U(f[l]), U(f[m]), U(f[o]), U(f[q])
            s, t, u, v, x = T(0.0), T(0.0), T(0.0), T(0.0), T(0.0)
            for i in range(running.size):
                r = running[U(i)]
                s += T(A[U(i), a]) * r
                t += T(A[U(i), b]) * r
                u += T(A[U(i), c]) * r
                v += T(A[U(i), e]) * r
                x += T(A[U(i), g]) * r
            out[k - first], out[l - first], out[m - first], out[o - first], out[q - first] = s, t, u, v, x
        for i in range(d):
            out[i] = self.units[first + i] * out[i] + self.slopes[first + i]

    def move(self, running, first, d, step):
        """Update the running vector, five columns at a time: of fewer the last is added again, zero times."""
        A, f, end, T = self.sketch, self.features, first + d - 1, np.float32
        for k in range(first, first + d, 5):
            l, m, o, q = min(k + 1, end), min(k + 2, end), min(k + 3, end), min(k + 4, end)
            a, b, c, e, g = U(f[k]), U(f[l]), U(f[m]), U(f[o]), U(f[q])
            s, t, u, v, x = T(self.units[k] * step[k - first]), T(0.0), T(0.0), T(0.0), T(0.0)
            if l > k:
                t = T(self.units[l] * step[l - first])
            if m > l:
                u = T(self.units[m] * step[m - first])
            if o > m:
                v = T(self.units[o] * step[o - first])
            if q > o:
                x = T(self.units[q] * step[q - first])
            for i in range(running.size):
                running[U(i)] += (
                    s * T(A[U(i), a]) + t * T(A[U(i), b]) + u * T(A[U(i), c]) + v * T(A[U(i), e]) + x * T(A[U(i), g])
                )
