"""The pulls q - Gw that a relaxation needs at a point: of the features in use, and of those that may matter."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.gram import gather
from sparseopt.kernels.perspective import doubtful_features, remove_features, subtract_rows


class Part:
    """The part of G that belongs to the features in use, close together in memory; from node to node it changes little."""

    def __init__(self, model):
        self.model = model
        self.features, self.block = np.empty(0, dtype=np.intp), np.empty((64, 64))
        self.is_in = np.zeros(model.n_features, dtype=bool)

    def _keep(self, needed):
        """Forget what is not needed; the rest moves up, in place."""
        is_needed = np.zeros(self.model.n_features, dtype=bool)
        is_needed[needed] = True
        self.is_in &= is_needed
        kept = np.flatnonzero(is_needed[self.features])
        # places rise, so that no entry is read after it was written
        gather(self.block, kept, kept, self.block)
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
        self.model.use(self.features)
        if size > len(self.block):
            room = size + size // 2
            block = np.empty((room, room))
            block[:held, :held] = self.block[:held, :held]
            self.block = block
        places = self.model.place[self.features]
        gather(self.model.gram, places[held:], places, self.block[held:size])
        self.block[:held, held:size] = self.block[held:size, :held].T
        return self.features, self.block


class WholeView:
    """The pulls of all features, where G is in memory."""

    #: How far from the point the pulls of features that are not known belong, and the most that one of these may gain.
    distance, level = 0.0, 0.0

    def __init__(self, relaxation):
        self.model, self.pull = relaxation.model, np.empty(relaxation.n_units)
        self.everything = np.arange(relaxation.n_units)

    def look(self, features, w, pull, status, level):
        """Set pulls at w, which `features` hold and whose own pulls are given; returns features with exact ones."""
        self.pull[:] = self.model.linear
        used = np.flatnonzero(w)
        subtract_rows(self.model.gram, features[used], w[used], self.pull)
        self.pull[features] = pull
        return self.everything

    def remove(self, known, status, most):
        """Fix out features that are not known exactly and gain at most so much; returns how many."""
        return 0


class WideView:
    """The pulls of the features that may matter; of others, what they are at most, from their pulls at another point.

    A product x_j . r changes by no more than the length of x_j times the change of r (as in the safe rules of
    El Ghaoui et al., 2012).
    """

    def __init__(self, relaxation):
        self.of, self.model = relaxation, relaxation.model
        p = relaxation.n_units
        self.reference, self.rest, self.distance, self.level = np.empty(p), None, 0.0, 0.0
        self.pull, self.found, self.is_known = np.empty(p), np.empty(p, dtype=np.intp), np.zeros(p, dtype=bool)

    def look(self, features, w, pull, status, level):
        """As that of `WholeView`; features that may gain more than `level` will be known."""
        of, model, used = self.of, self.model, np.flatnonzero(w)
        rest = model.residual(features[used], w[used])
        self.level, count = level, of.n_units
        if self.rest is not None:
            self.distance = float(np.linalg.norm(rest - self.rest)) * (1.0 + 1e-9) + 1e-14 * of.length
            count = self._doubtful(status)
        if self.rest is None or count > of.n_units // 8 + features.size:
            self.reference, self.rest, self.distance = model.pulls(rest), rest, 1e-14 * of.length
            count = self._doubtful(status)
        self.is_known[features] = True
        doubtful = self.found[:count]
        doubtful = doubtful[~self.is_known[doubtful]]
        self.is_known[features] = False
        self.pull[features] = pull
        self.pull[doubtful] = model.pulls(rest, doubtful)
        return np.concatenate([features, doubtful])

    def _doubtful(self, status):
        of = self.of
        terms = (of.model.sizes, status, of.curve, of.subset.l1, self.level)
        return doubtful_features(self.reference, self.distance, *terms, self.found)

    def remove(self, known, status, most):
        """As that of `WholeView`."""
        of = self.of
        self.is_known[known] = True
        terms = (of.curve, of.subset.l1, of.lower, of.upper, of.subset.alpha)
        removed = remove_features(self.reference, self.distance, of.model.sizes, status, self.is_known, *terms, most)
        self.is_known[known] = False
        return removed
