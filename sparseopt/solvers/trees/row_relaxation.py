"""Bounds for the choice of features under linear rows, by the perspective relaxation.

Nodes are minimised by operator splitting (`kernels.row_splitting`). Whatever point that has come to, its pulls and the
multipliers of the rows prove a bound, and fix features. Where many features have gone, what is left has a system of its
own, with a larger diagonal. A node that leaves no choice is a quadratic program, whose multipliers prove its value.
"""

from __future__ import annotations

import time

import numpy as np

from sparseopt.kernels.row_splitting import judge_node, ray_value, work_on_node
from sparseopt.proofs.bound_rows import RowPoint, RowRay
from sparseopt.solvers.subsets.support_programs import SupportPrograms
from sparseopt.solvers.trees.row_diagonal import best_diagonal, least_diagonal
from sparseopt.solvers.trees.row_system import RowSystem
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed

# Iterations between two looks at the bound, and the most of a node and of the root.
_LOOK, _MOST, _ROOT = 20, 600, 4000
# Calls of the kernel at the root between two diagonals.
_FIRST = 10
# Iterations of a call of the kernel; seconds that a node may take whatever the time.
_CALL, _PATIENCE = 100, 0.05
# A node is gone on with where no more than this part of the free features is still free.
_AGAIN = 0.8
# Over-relaxation.
_RELAX = 1.6
# A node is branched on once its value is known to this part of what is missing to close it.
_KNOWN = 0.15
# A system of its own for what is left, where that is less than this part.
_SHRINK = 0.75
# Systems that are kept.
_SYSTEMS = 60
_NOTHING = np.empty(0, dtype=np.intp)
_EPS = float(np.finfo(float).eps)


class RowRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    model : RowModel
    subset : RowSubset
    keep_points : bool
        Return the points that prove the bounds.
    """

    def __init__(self, model, subset, *, keep_points=False):
        self.model, self.subset, self.n_units = model, subset, model.n_features
        self.keep_points = keep_points
        self.gram = model.gram
        self.programs = SupportPrograms(self.gram, model.linear, model.constant, subset)
        self.systems = []
        self.seen, self.best = set(), np.inf
        #: What the preparation has proven.
        self.root_bound = -np.inf
        #: Whether some feature is both required and forbidden, as its bounds may say.
        self.is_void = bool(np.intersect1d(subset.required, subset.forbidden).size)
        self.iterations = 0
        scale = np.abs(model.linear) @ np.ones(model.n_features)
        self.scale = max(abs(model.constant), scale * _EPS, np.finfo(float).tiny)

    def first_status(self):
        """What the problem itself fixes."""
        status = np.zeros(self.n_units, dtype=np.int8)
        status[self.subset.required] = IN
        status[self.subset.forbidden] = OUT
        return status

    def evaluate(self, support):
        support = np.sort(np.asarray(support, dtype=np.intp))
        key = support.astype(np.int32).tobytes()
        if key in self.seen:
            return np.inf, None
        self.seen.add(key)
        value = float(self.programs.values(support[None, :])[0])
        if not value < self.best:
            return value, None
        self.best, full = value, np.zeros(self.n_units)
        value, full[support], _ = self.programs.solve(support, refine=True)
        return value, full

    def prepare(self, rounds):
        """The system of the root, with a diagonal that is made for its solution in some rounds: a generator.

        It returns the parts of the features in the relaxation.
        """
        status, z = self.first_status(), np.zeros(self.n_units)
        features = np.flatnonzero(status != OUT)
        G = self.gram[np.ix_(features, features)]
        diagonal = yield from least_diagonal(G, self._slack(features))
        worth, start = None, None
        for more in range(rounds, -1, -1):
            self.systems = [self._system(features, diagonal)]
            if features.size == 0:
                break
            node = _Node(self, self.systems[0], status.copy(), start)
            for _ in range(_FIRST):
                if node.work(_CALL, np.inf) < _CALL:
                    break
                yield
            z[features], self.root_bound = node.z, max(self.root_bound, node.bound)
            if not more or not diagonal.any():
                break
            now = node.worths()
            worth = now if worth is None else 0.5 * (worth + now)
            diagonal = yield from self._diagonal(features, worth)
            start = node.leave()
        return z

    def _diagonal(self, features, worth):
        slack = self._slack(features)
        return (yield from best_diagonal(self.gram[np.ix_(features, features)], worth, slack))

    def _slack(self, features):
        return features.size * (4.0 * _EPS + self.model.rounding) * np.square(self.model.sizes[features])

    def _system(self, features, diagonal):
        return RowSystem(features, self.gram[np.ix_(features, features)], diagonal, self.model.linear, self.subset)

    def system_of(self, status, start):
        """The smallest system that knows all features of a node; a new one where that is much larger than what is left."""
        left = np.flatnonzero(status != OUT)
        known = [s for s in self.systems if s.features.size >= left.size and np.all(s.place[left] >= 0)]
        best = min(known, key=lambda s: s.features.size)
        if left.size > _SHRINK * best.features.size or left.size < 4:
            return best
        worth = np.zeros(self.n_units)
        if start is not None:
            worth[start.features] = start.worth
        worth[status == IN] = 0.0
        diagonal = np.zeros(left.size)
        for _ in (maker := _Returned(self._diagonal(left, worth[left]))):
            pass
        diagonal = maker.value
        system = self._system(left, diagonal)
        self.systems.append(system)
        if len(self.systems) > _SYSTEMS:
            del self.systems[1]
        return system

    def relax(self, status, start, threshold, until):
        room = self.subset.k - int(np.count_nonzero(status == IN))
        if room < 0 or self.is_void:
            return Relaxed(np.inf)
        if room == 0:
            status[status == FREE] = OUT
        node = _Node(self, self.system_of(status, start), status, start)
        points, most, done, support, unit = [], _ROOT if start is None else _MOST, 0, None, -1
        if self._is_empty(node, points):
            return Relaxed(np.inf, points=self._kept(points))
        until = max(until, time.perf_counter() + _PATIENCE)
        node.judge(threshold, points)
        while node.bound < threshold and np.any(status == FREE):
            free = int(np.count_nonzero(status == FREE))
            count = node.work(min(most - done, _CALL), threshold)
            done += count
            node.judge(threshold, points)
            if not np.isfinite(threshold) and node.proves_empty(points):
                return Relaxed(np.inf, points=self._kept(points))
            is_known = count < _CALL and np.count_nonzero(status == FREE) > _AGAIN * free
            if is_known or done >= most or node.bound == np.inf or time.perf_counter() >= until:
                break
        self.iterations += done
        bound = node.bound
        if bound < threshold:
            if not np.any(status == FREE):
                bound = max(bound, self._leaf(node, status, points))
                support = np.flatnonzero(status == IN)
            else:
                support, unit = node.rounded(), node.branch()
        return Relaxed(bound, unit, node.leave(), support, points=self._kept(points))

    def _kept(self, points):
        return points if self.keep_points else []

    def _is_empty(self, node, points):
        """Whether one row alone leaves no point."""
        for i in range(len(self.subset.A)):
            for side in (1.0, -1.0):
                y = np.zeros(len(self.subset.A))
                y[i] = side
                if np.isfinite(self.subset.row_upper[i] if side > 0 else self.subset.row_lower[i]) and node.is_ray(y):
                    points.append((RowRay(y), _NOTHING, _NOTHING))
                    return True
        return False

    def _leaf(self, node, status, points):
        """The value of a node that leaves no choice, proven by the multipliers of its program."""
        S = np.flatnonzero(status == IN)
        _, w, y = self.programs.solve(S, refine=True)
        if w is None:
            if y is None:
                return -np.inf
            points.append((RowRay(y), _NOTHING, _NOTHING))
            return np.inf
        node.best_w[:] = 0.0
        node.best_w[node.system.place[S]] = w
        node.best_y[:] = y
        node.judge(np.inf, points)
        return node.bound


class _Returned:
    """A generator, and the value that it returns."""

    def __init__(self, generator):
        self.generator, self.value = generator, None

    def __iter__(self):
        self.value = yield from self.generator


class _Start:
    """What a node leaves its children: where they begin."""

    __slots__ = ("features", "price", "r", "u", "v", "w", "worth", "y", "z")

    def __init__(self, features, v, u, w, z, y, r, price, worth):
        self.features, self.price, self.worth = features, price, worth.astype(np.float32)
        self.v, self.u, self.w, self.z = (part.astype(np.float32) for part in (v, u, w, z))
        self.y, self.r = y.copy(), r.copy()


class _Node:
    """The iterations of one node on its system."""

    def __init__(self, relaxation, system, status, start):
        self.of, self.system, self.full = relaxation, system, status
        n, m = system.features.size, len(system.A)
        self.status = np.ascontiguousarray(status[system.features])
        self.w, self.v, self.u, self.z = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
        self.y, self.r, self.price = np.zeros(m), np.zeros(m), relaxation.subset.alpha
        self.gains, self.bound, self.value = np.zeros(n), -np.inf, np.inf
        self.best_w, self.best_y = np.zeros(n), np.zeros(m)
        self.room = relaxation.subset.k - int(np.count_nonzero(status == IN))
        if start is None:
            subset = relaxation.subset
            self.r = np.clip(np.zeros(m), subset.row_lower, subset.row_upper)
            return
        if start.features is system.features:
            for own, old in ((self.w, start.w), (self.v, start.v), (self.u, start.u), (self.z, start.z)):
                own[:] = old
        else:
            place = system.place[start.features]
            kept = place >= 0
            for own, old in ((self.w, start.w), (self.v, start.v), (self.u, start.u), (self.z, start.z)):
                own[place[kept]] = old[kept]
        out = self.status == OUT
        self.v[out] = self.z[out] = self.w[out] = 0.0
        self.y[:], self.r[:], self.price = start.y, start.r, start.price
        self.best_w[:], self.best_y[:] = self.w, self.y

    def work(self, most, threshold):
        """Iterations, until enough is known of the node; returns how many."""
        s, subset = self.system, self.of.subset
        self.room = subset.k - int(np.count_nonzero(self.status == IN))
        value = max(abs(self.bound) if np.isfinite(self.bound) else 0.0, self.of.scale)
        exact = 1e-12 * value if np.isfinite(threshold) else 1e-4 * value
        goal = threshold if np.isfinite(threshold) else np.finfo(float).max
        known = _KNOWN if np.isfinite(threshold) else 0.0
        self.price, self.bound, self.value, done = work_on_node(
            most, _LOOK, known, exact, goal, s.known, self.of.model.constant, s.R, s.sizes, s.rounding, self._heap(), self.gains,
            s.scratch[1], self.bound, self.best_w, self.best_y,
            s.inverse, s.metric, s.A, s.weight, subset.row_lower, subset.row_upper, s.linear, s.curve, subset.l1,
            s.lower, s.upper, self.status, self.room, subset.alpha, _RELAX,
            self.price, self.w, self.v, self.u, self.z, self.y, self.r, s.scratch[0],
        )  # fmt: skip
        return done

    def _heap(self):
        free = int(np.count_nonzero(self.status == FREE))
        return np.empty(min(max(self.of.subset.k - int(np.count_nonzero(self.status == IN)), 0), free) + 1)

    def judge(self, threshold, points):
        """Fix what the point of the best bound decides."""
        s, of, subset = self.system, self.of, self.of.subset
        before = self.status.copy() if of.keep_points else None
        bound, changed = judge_node(
            threshold, np.isfinite(threshold), s.known, of.model.constant, s.R, s.sizes, s.rounding, self._heap(), self.gains,
            s.scratch[1], s.A, subset.row_lower, subset.row_upper, s.linear, s.curve, subset.l1, s.lower, s.upper,
            self.status, subset.alpha, self.best_w, self.best_y, s.scratch[0],
        )  # fmt: skip
        self.bound = max(self.bound, bound)
        new = _NOTHING
        if changed:
            self.full[s.features] = self.status
            out = self.status == OUT
            self.v[out] = self.z[out] = self.u[out] = 0.0
        if of.keep_points and bound > -np.inf:
            new = before != self.status
            points.append(
                (self._point(), s.features[new & (self.status == OUT)], s.features[new & (self.status == IN)])
            )

    def _point(self):
        used = np.flatnonzero(self.best_w)
        return RowPoint(self.system.features[used], self.best_w[used].copy(), self.best_y.copy(), self.system.moved)

    def worths(self):
        """What one more unit of the diagonal would lift the value of the relaxation by."""
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = 0.5 * self.v * self.v * (1.0 / self.z - 1.0)
        return np.where((self.z > 0.0) & (self.status == FREE), np.maximum(worth, 0.0), 0.0)

    def leave(self):
        return _Start(self.system.features, self.v, self.u, self.w, self.z, self.y, self.r, self.price, self.worths())

    def branch(self):
        """The free feature whose part is nearest to a half, and of those that are none the largest gain."""
        free = self.status == FREE
        z = np.where(free, np.minimum(self.z, 1.0 - self.z), -1.0)
        j = int(np.argmax(z))
        if z[j] <= 1e-6:
            j = int(np.argmax(np.where(free, self.gains, -np.inf)))
        return int(self.system.features[j])

    def rounded(self):
        """The support of the largest parts."""
        into, subset = np.flatnonzero(self.status == IN), self.of.subset
        free = np.flatnonzero(self.status == FREE)
        z = self.z[free]
        count = min(max(subset.k - into.size, 0), free.size)
        if subset.alpha > 0.0:
            count = min(count, int(np.count_nonzero(z >= 0.5)))
        chosen = free[np.argsort(-z, kind="stable")[:count]]
        if subset.alpha == 0.0:
            chosen = chosen[self.z[chosen] > 0.0] if np.any(self.z[chosen] > 0.0) else chosen
        return np.sort(self.system.features[np.concatenate([into, chosen])])

    def is_ray(self, y):
        """Whether multipliers of the rows prove that the node has no point."""
        s, subset = self.system, self.of.subset
        room = subset.k - int(np.count_nonzero(self.status == IN))
        heap = np.empty(min(max(room, 1), max(int(np.count_nonzero(self.status == FREE)), 1)))
        value, size = ray_value(
            s.A, y, subset.row_lower, subset.row_upper, s.lower, s.upper, self.status, room, heap, s.scratch[2]
        )
        return value > 1e-11 * size and np.isfinite(size)

    def proves_empty(self, points):
        """Whether the multipliers, which grow without limit where there is no point, prove it."""
        size = float(np.max(np.abs(self.y), initial=0.0))
        if size > 0.0 and self.is_ray(self.y / size):
            points.append((RowRay(self.y / size), _NOTHING, _NOTHING))
            return True
        return False
