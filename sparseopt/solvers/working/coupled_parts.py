"""The problem on a working set of coefficients, or of groups of them: its point, exact slopes there, and a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.forms import SeparableForm
from sparseopt.kernels.columns import penalty_on
from sparseopt.penalties import BlockPenalty
from sparseopt.penalties.partitions import as_partition
from sparseopt.solvers.working.gram_model import GramModel
from sparseopt.solvers.working.group_model import GroupModel
from sparseopt.solvers.working.working_plan import distances, entering_features

# Coefficients that may enter at once: so many at least, or as a part of those in use.
_FEWEST, _GROWTH = 100, 1.0
# At most so many may be missing, or a part of those in use, for a set to count as nearly whole.
_FEW, _SHARE = 10, 0.1
# Rounds of epochs and Newton steps on one model at most.
_ROUNDS = 60
# Part of itself that is added to the diagonal so that the matrix can be factored, whatever is flat.
_RIDGE = {np.float32: 3e-5, np.float64: 3e-8}
# Curvature below this part of the largest is none to divide by.
_FLAT = 1e-12


class Part(ABC):
    """The problem with all coefficients but some fixed at zero."""

    def __init__(self, problem, coefficients, w, slope, distance):
        self.coefficients = coefficients
        self.loss = problem.loss.restrict(coefficients)
        self.x, self.slope = w[coefficients], slope[coefficients]
        #: The second derivative of the last `renew`.
        self.H = None
        #: Largest slope of all coefficients, and largest distance of one to stationarity.
        self.scale, self.largest = (float(np.max(np.abs(part), initial=0.0)) for part in (slope, distance))
        #: How many coefficients are not zero, and how many others are pulled from it.
        self.in_use = np.count_nonzero(w)
        self.missing = np.count_nonzero(distance[w == 0.0])
        #: So many missing ones leave the set nearly whole.
        self.few = max(_FEW, int(_SHARE * self.in_use))

    @abstractmethod
    def distance(self):
        """Largest distance to stationarity."""

    @abstractmethod
    def penalty(self, x):
        """The penalty at a point."""

    @abstractmethod
    def minimise(self, goal):
        """Minimiser of the quadratic with the slopes of the point and the second derivative of the model."""

    def renew(self, dtype, damping):
        """A second derivative of the present point, its diagonal raised by a part `damping`, or as its precision needs."""
        H = self.loss.model_hessian(self.x, np.arange(self.x.size), dtype)
        diagonal = np.einsum("ii->i", H)
        diagonal *= 1.0 + max(damping, _RIDGE[dtype.type])
        diagonal[:] = np.maximum(diagonal, max(_FLAT * np.max(diagonal), np.finfo(dtype).tiny))
        self.H = H

    def go(self, x):
        """Take a point, and the slopes there."""
        self.x, self.slope = x, np.asarray(self.loss.gradient(x), dtype=np.float64)


class CoordinatePart(Part):
    """Single coefficients, by a Gram model."""

    def __init__(self, problem, w, slope, curvatures):
        """Those in use and the most distant others."""
        in_use, distance = w != 0.0, distances_of(problem, w, slope, curvatures)
        count = max(_FEWEST, int(_GROWTH * np.count_nonzero(in_use)))
        new = entering_features(in_use, slope, np.where(in_use, 0.0, distance), count)
        coefficients = problem.loss.arranged(np.sort(np.concatenate([np.flatnonzero(in_use), new])))
        super().__init__(problem, coefficients, w, slope, distance)
        self._penalty = problem.proximal
        form = convex_form(self._penalty, w.size)
        self._form = form.restrict(coefficients) if isinstance(form, SeparableForm) else None
        self._full, self._curvatures, self._model = (np.array(w), np.array(slope)), curvatures, None

    def distance(self):
        if self._form is not None:
            return float(np.max(distances(self._penalty, self._form, self.x, self.slope, None)))
        w, slope = self._full
        w[self.coefficients], slope[self.coefficients] = self.x, self.slope
        return float(np.max(distances(self._penalty, None, w, slope, self._curvatures)[self.coefficients]))

    def penalty(self, x):
        if self._form is not None:
            return self._form.value(x)
        return penalty_on(self._penalty, self.coefficients, x)

    def renew(self, dtype, damping):
        super().renew(dtype, damping)
        self._model = GramModel(dtype)
        self._model.extend(self.coefficients, self.H, self.x, self.slope)

    def minimise(self, goal):
        self._model.place(self.x, self.slope)
        self._model.minimise(self._penalty, self._form, goal, _ROUNDS)
        return np.array(self._model.w)


class BlockPart(Part):
    """Whole groups."""

    def __init__(self, problem, w, slope):
        """Those in use and the most distant others."""
        partition, everything = problem.proximal.groups, np.arange(w.size)
        distance, in_use = distances_of(problem, w, slope), partition.norms(w) > 0.0
        outside = np.where(in_use, 0.0, partition.norms(distance))
        count = max(_FEWEST * in_use.size // w.size, int(_GROWTH * np.count_nonzero(in_use)), 1)
        new = entering_features(in_use, partition.norms(slope), outside, count)
        groups = np.sort(np.concatenate([np.flatnonzero(in_use), new]))
        members = [everything[partition.columns(g)] for g in groups]
        coefficients = np.concatenate([*members, np.empty(0, dtype=np.int64)])
        labels = np.empty(w.size, dtype=np.int64)
        labels[coefficients] = np.repeat(np.arange(groups.size), [part.size for part in members])
        coefficients = problem.loss.arranged(coefficients)
        super().__init__(problem, coefficients, w, slope, distance)
        if groups.size:
            self._penalty = replace(problem.proximal.restricted(groups), groups=as_partition(labels[coefficients]))
            self._form = convex_form(self._penalty, self.x.size)

    def distance(self):
        return float(np.max(self._form.subgradient_distance(self.x, self.slope)))

    def penalty(self, x):
        return self._form.value(x)

    def renew(self, dtype, damping):
        super().renew(dtype, damping)
        self._model = GroupModel(self._penalty, self._form, self.H)

    def minimise(self, goal):
        self._model.place(self.x, self.slope)
        self._model.minimise(goal)
        return np.array(self._model.w)


def distances_of(problem, w, slope, curvatures=None):
    """Distance of each coefficient to stationarity."""
    form = convex_form(problem.proximal, w.size)
    if isinstance(problem.proximal, BlockPenalty):
        return form.subgradient_distance(w, slope)
    return distances(problem.proximal, form, w, slope, curvatures)


def part_of(problem, w, slope, curvatures):
    """The part to improve next; `curvatures` of the loss are only needed where the penalty has no form."""
    if isinstance(problem.proximal, BlockPenalty):
        return BlockPart(problem, w, slope)
    return CoordinatePart(problem, w, slope, curvatures)
