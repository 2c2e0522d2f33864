"""The features on which nodes under a quadratic are minimised, the members, and the pulls q - Gw of all that may matter."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections import deque

import numpy as np

from sparseopt.kernels import quadratic_nodes as kernels
from sparseopt.kernels.gram import gather
from sparseopt.kernels.perspective import doubtful_features, remove_features, subtract_rows
from sparseopt.solvers.subsets.gram_models import RoughGram, WholeGram
from sparseopt.solvers.trees.tree import FREE, IN, OUT

# Up to so many features all are members: a step takes one row of G, and makes all pulls. Where so large a part of them is out,
# it is left out.
_EVERY, _NARROW = 2000, 0.5
# Nodes whose pulls are remembered for their children.
_STARTS = 8
# Rounding of pulls in float64 after a few thousand steps, relative to all that they are made of.
_ROUNDED = 1e-11
# Features of which one is doubtful, where others are looked at anew.
_DOUBTFUL = 8
_ALL = slice(None)
# So many new members come at once, at least.
_FEWEST = 32


def view_of(relaxation):
    """The view for the model of a relaxation."""
    if isinstance(relaxation.model, RoughGram):
        return EveryView(relaxation)
    if not isinstance(relaxation.model, WholeGram):
        return WideView(relaxation)
    return EveryView(relaxation) if relaxation.n_units <= _EVERY else WholeView(relaxation)


class EveryView:
    """All features are members."""

    #: Whether no feature will come into use.
    has_all = True

    def __init__(self, relaxation):
        self.of, self.model, self.work = weakref.proxy(relaxation), relaxation.model, relaxation.work
        self.everything = np.arange(relaxation.n_units)
        self.found, self.is_known = self.everything.copy(), np.zeros(relaxation.n_units, dtype=bool)
        #: The ends of the last nodes that were branched on: where their children begin, the pulls, and the steps to these.
        self.starts = deque(maxlen=_STARTS)
        #: Whether pulls are made from X where a copy of G is rough; how far others may be wrong, in lengths of columns; and the
        #: most that those of the points are together at which they were made exact.
        self.is_sharp, self.distance, self.heaviest = False, 0.0, 0.0
        self._widen()

    def _widen(self):
        self.on, self.block, self.is_narrow = _ALL, self.model.gram, False

    def _narrow(self, members):
        self.on, self.is_narrow = members, True
        self.block = np.empty((members.size, members.size), dtype=self.model.gram.dtype)
        gather(self.model.gram, members, members, self.block)

    def begin(self, start, status):
        """Take the point where a node begins, less what is out, with its pulls."""
        work, (features, values, _) = self.work, start
        self.is_sharp, self.heaviest = False, 0.0
        if self.is_narrow:
            self._widen()
        work.place(features, values)
        gone = features[status[features] == OUT]
        left = work.w[gone]
        work.w[gone] = 0.0
        for known, pull, steps in self.starts:
            if known is start:
                work.pull[:] = pull
                subtract_rows(self.model.gram, gone, -left, work.pull)
                work.counts[kernels.STEPS] = steps + gone.size
                return
        self.make_pulls()

    def end(self, start, has_children):
        """Remember the pulls at the present point, where children begin if there are any: they have out what is out here."""
        if has_children and not self.is_sharp:
            self.starts.appendleft((start, self.work.pull.copy(), int(self.work.counts[kernels.STEPS])))

    def make_pulls(self):
        """Make the pulls at the present point."""
        work, (used, values) = self.work, self.work.point()
        work.pull[:] = self.model.linear
        subtract_rows(self.model.gram, used, values, work.pull)
        work.counts[kernels.STEPS] = 0

    def drop(self, features, values):
        """Take the pulls to the present point, from one with other values of these features, which are zero now."""
        subtract_rows(self.model.gram, features, -values, self.work.pull)
        self.work.counts[kernels.STEPS] += features.size

    def admit(self, status):
        """Make features members that were found to be needed: all are."""

    def trim(self, status):
        """Go on without the features that are out, where that is most of them."""
        live = (status != OUT).nonzero()[0]
        size = self.on.size if self.is_narrow else status.size
        if live.size < _NARROW * size:
            self._narrow(live)

    def look(self, status, level):
        """Set pulls at the present point; returns features with those a bound is made of. Descent has done so."""
        self.work.numbers[kernels.ROUGH] = 0.0 if self.is_sharp else self.model.roughness
        return self._exact(status, level) if self.is_sharp else self.everything

    def sharpen(self):
        """Whether pulls can be made more exact: then they are from here to the end of the node."""
        is_rough = self.model.roughness > 0.0 and not self.is_sharp
        self.is_sharp |= is_rough
        return is_rough

    def _exact(self, status, level):
        """The features that are in use or may gain more than `level`; their pulls are made from X."""
        of, work, (used, values) = self.of, self.work, self.work.point()
        weight = float(np.abs(values) @ self.model.sizes[used])
        # pulls were exact at points before this one, and steps from there are rough; far less is for what steps round
        self.distance = self.model.roughness * (weight + self.heaviest) + _ROUNDED * (of.length + weight)
        self.heaviest = max(self.heaviest, weight)
        terms = (self.model.sizes, status, of.curve, of.subset.l1, level)
        self.is_known[:] = status == IN
        self.is_known[used] = True
        self.is_known[self.found[: doubtful_features(work.pull, self.distance, *terms, self.found)]] = True
        known = self.is_known.nonzero()[0]
        work.pull[known] = self.model.pulls(self.model.residual(used, values), known)
        work.counts[kernels.STEPS] = 0
        return known

    def remove(self, known, status, most):
        """Fix out features that are not known exactly and gain at most so much; returns how many."""
        return removed_features(self, self.work.pull, known, status, most)


class Part:
    """The part of G that belongs to the features in use, close together in memory; from node to node it changes little."""

    def __init__(self, model):
        self.model = model
        self.features, self.block = np.empty(0, dtype=np.intp), np.empty((64, 64))
        #: Of a model without G, the columns of the features, of which products are made.
        self.columns = None if isinstance(model, WholeGram) else np.empty((64, model.target.size))
        self.is_in = np.zeros(model.n_features, dtype=bool)

    def _keep(self, needed):
        """Forget what is not needed; the rest moves up, in place."""
        is_needed = np.zeros(self.model.n_features, dtype=bool)
        is_needed[needed] = True
        self.is_in &= is_needed
        kept = np.flatnonzero(is_needed[self.features])
        # places rise, so that no entry is read after it was written
        gather(self.block, kept, kept, self.block)
        if self.columns is not None:
            self.columns[: kept.size] = self.columns[kept]
        self.features = self.features[kept]

    def cover(self, needed):
        """Features that hold those needed, and their part of G at the beginning of a matrix."""
        fresh = needed[~self.is_in[needed]]
        if self.features.size + fresh.size > 1.5 * needed.size + 50:
            self._keep(needed)
        if fresh.size == 0:
            return self.features, self.block
        held, size = self.features.size, self.features.size + fresh.size
        self.features = np.concatenate([self.features, fresh])
        self.is_in[fresh] = True
        if size > len(self.block):
            room = size + size // 2
            block = np.empty((room, room))
            block[:held, :held] = self.block[:held, :held]
            self.block = block
            if self.columns is not None:
                columns = np.empty((room, self.columns.shape[1]))
                columns[:held] = self.columns[:held]
                self.columns = columns
        if self.columns is None:
            gather(self.model.gram, fresh, self.features, self.block[held:size])
        else:
            self.columns[held:size] = self.model.columns(fresh)
            self.block[held:size, :size] = self.columns[held:size] @ self.columns[:size].T
        self.block[:held, held:size] = self.block[held:size, :held].T
        return self.features, self.block


class MembersView(ABC):
    """Few features are members, with their part of G, which stays from node to node."""

    #: Others come into use.
    has_all = False

    def __init__(self, relaxation):
        self.of, self.model, self.work = weakref.proxy(relaxation), relaxation.model, relaxation.work
        self.part = Part(self.model)
        #: Features that were not zero where the last node ended.
        self.recent = np.empty(0, dtype=np.intp)
        self._prepare(relaxation.n_units)

    @abstractmethod
    def _prepare(self, p):
        """Make what looks need."""

    @abstractmethod
    def look(self, status, level):
        """Set pulls at the present point; returns features with exact ones, no other gains more than `level`."""

    def begin(self, start, status):
        """Take the point where a node begins, less what is out, with pulls of its members."""
        work, (features, values, _) = self.work, start
        work.place(features, np.where(status[features] == OUT, 0.0, values))
        is_needed = (status == IN) | (work.w != 0.0)
        # what the last node had in will mostly come in here as well
        is_needed[self.recent[status[self.recent] == FREE]] = True
        self.on, self.block = self.part.cover(np.flatnonzero(is_needed))
        self.make_pulls()

    def sharpen(self):
        """Whether pulls can be made more exact: they are exact."""
        return False

    def end(self, start, has_children):
        """Remember what was in."""
        self.recent = start[0]

    def make_pulls(self):
        """Make the pulls of the members at the present point."""
        work, w, pull = self.work, self.work.w[self.on], self.model.linear[self.on]
        used = np.flatnonzero(w)
        subtract_rows(self.block, used, w[used], pull)
        work.pull[self.on] = pull
        work.counts[kernels.STEPS] = 0

    def drop(self, features, values):
        """Take the pulls to the present point, where these features are zero now."""
        self.make_pulls()

    def admit(self, status):
        """Make features members that must be, and those that were found and would gain most."""
        work, is_needed = self.work, self.work.w != 0.0
        entering = work.entering[: work.counts[kernels.ENTERING]]
        most = max(_FEWEST, int(np.count_nonzero(is_needed)) // 2)
        if entering.size > most:
            entering = entering[np.argpartition(-work.gains[entering], most)[:most]]
        is_needed |= status == IN
        is_needed[entering] = True
        self.on, self.block = self.part.cover(np.flatnonzero(is_needed))
        if work.counts[kernels.DROPPED]:
            # pulls of new members are those at w before
            self.make_pulls()


class WholeView(MembersView):
    """The pulls of all features, where G is in memory."""

    def _prepare(self, p):
        self.everything = np.arange(p)

    def look(self, status, level):
        used, values = self.work.point()
        pull = self.model.linear.copy()
        subtract_rows(self.model.gram, used, values, pull)
        pull[self.on] = self.work.pull[self.on]
        self.work.pull[:] = pull
        return self.everything


class WideView(MembersView):
    """The pulls of the features that may matter; of others, what they are at most, from their pulls at another point.

    A product x_j . r changes by no more than the length of x_j times the change of r (as in the safe rules of
    El Ghaoui et al., 2012).
    """

    def _prepare(self, p):
        self.reference, self.rest, self.distance, self.level = np.empty(p), None, 0.0, 0.0
        #: How far the pulls at the other point may be off.
        self.blur = 0.0
        self.found, self.is_known = np.empty(p, dtype=np.intp), np.zeros(p, dtype=bool)

    def look(self, status, level):
        of, model, features = self.of, self.model, self.on
        rest = model.residual(*self.work.point())
        self.level, count, most = level, of.n_units, of.n_units // _DOUBTFUL + features.size
        if self.rest is not None:
            self.distance = self.blur + float(np.linalg.norm(rest - self.rest)) * (1.0 + 1e-9) + 1e-14 * of.length
            count = self._doubtful(status)
        if self.rest is None or count > most:
            self._refer(rest, *model.rough_pulls(rest))
            count = self._doubtful(status)
            if count > most and self.blur > 0.0:
                self._refer(rest, model.pulls(rest), 0.0)
                count = self._doubtful(status)
        self.is_known[features] = True
        doubtful = self.found[:count]
        doubtful = doubtful[~self.is_known[doubtful]]
        self.is_known[features] = False
        self.work.pull[doubtful] = model.pulls(rest, doubtful)
        return np.concatenate([features, doubtful])

    def _refer(self, rest, pulls, blur):
        """Refer to the pulls at another point, from which they may be that far off."""
        self.reference, self.rest, self.blur = pulls, rest, blur
        self.distance = blur + 1e-14 * self.of.length

    def _doubtful(self, status):
        of = self.of
        terms = (of.model.sizes, status, of.curve, of.subset.l1, self.level)
        return doubtful_features(self.reference, self.distance, *terms, self.found)

    def remove(self, known, status, most):
        """Fix out features that are not known exactly and gain at most so much; returns how many."""
        return removed_features(self, self.reference, known, status, most)


def removed_features(view, pull, known, status, most):
    """Fix out, in `status`, features but for known ones that gain at most so much; returns how many."""
    of = view.of
    view.is_known[:] = False
    view.is_known[known] = True
    terms = (of.curve, of.subset.l1, of.lower, of.upper, of.subset.alpha)
    removed = remove_features(pull, view.distance, of.model.sizes, status, view.is_known, *terms, most)
    view.is_known[known] = False
    return removed
