"""Low minima of a model under a penalty that is concave away from zero.

Such a penalty has many local minima. With less of its concavity it has few, near the good ones of the full penalty
(Mazumder, Friedman and Hastie, 2011): so the concavity comes up little by little, from minimum to minimum. Then the
minimum is shaken: less of the concavity and less strength let features in again, and the way back leads to another
minimum, which is kept where it is lower.
"""

from __future__ import annotations

import functools

import numpy as np

from sparseopt.penalties import concavity, straightened, strengthened

# Parts of the curvature of the loss that the concavity takes off: while the strength comes down, and from then on
# more by a factor each time.
_FIRST, _STEP = 1.0 / 12.0, 4.0
# Shakes: strengths and parts of the curvature on the way, the first two to more features, the last to fewer.
_SHAKES = (((0.7, 1.0 / 12.0), (0.85, 1.0 / 6.0)), ((0.5, 1.0 / 12.0), (0.7, 1.0 / 6.0)), ((2.0, 1.0 / 6.0), (2.0, 1.0 / 6.0)))
_MOST_SHAKES = 8
# Epochs on the way and at its end at most; last moves there, as a part of the slope.
_EPOCHS, _LAST_EPOCHS, _ROUGH, _FINE = 50, 100, 0.05, 0.01
# A fall of the objective, as a part of it, that counts.
_FALL = 1e-7
KK=[10,100,5]
SHK=[1]


class ConcaveSearch:
    """A penalty, and what it is with less of its concavity or another strength."""

    def __init__(self, penalty, curvatures):
        self.penalty = penalty
        bent = curvatures[curvatures > 0.0]
        curvature = float(np.median(bent)) if bent.size else 1.0
        self._share = concavity(penalty) / curvature
        #: Part of the curvature that the concavity may take off at present.
        self.share = min(_FIRST, self._share)
        #: Whether the last search has found a lower minimum than its first.
        self.has_found = False

    @property
    def is_bent(self):
        """Whether the concavity is full."""
        return self.share == self._share

    def bend(self):
        """More of the concavity; from 1 on each coordinate is kept or killed, and there is nothing between."""
        share = _STEP * self.share
        self.share = share if share < min(self._share, 1.0) else self._share

    @staticmethod
    def helps(penalty):
        """Whether a penalty is concave, and known with less of it."""
        return not penalty.is_convex and straightened(penalty, 2.0) is not None

    def relative(self, share=_FIRST, strength=1.0):
        """The penalty where its concavity takes off no more than a part of the curvature."""
        penalty = straightened(self.penalty, self._share / share) if share < self._share else self.penalty
        return penalty if strength == 1.0 else strengthened(penalty, strength)

    def minima(self, model, scale, strength=1.0):
        """Descend to one minimum of the model after another, to end at the lowest; each piece of work is a step of this generator.

        The first is led to by less of the concavity, at strengths that come down from the given one; `scale` is that of slopes.
        """
        self.has_found = False
        scale /= strength
        rough, fine = _ROUGH * scale, _FINE * scale
        while strength > 1.0:
            strength = max(1.0, 0.4 * strength)
            model.sweep(self.relative(self.share, strength), rough, 30)
            yield
        self.share = self._share
        if self._share <= _FIRST:
            return
        model.sweep(self.penalty, fine, _LAST_EPOCHS)
        yield
        lowest, kept = model.height(self.penalty), model.kept()
        signs = np.sign(model.w)
        model.restore(model.origin())
        model.sweep(self.penalty, fine, _LAST_EPOCHS)
        yield
        # where two ways lead to one minimum there will hardly be another
        shakes = 0 if np.array_equal(np.sign(model.w), signs) else _MOST_SHAKES
        found = model.height(self.penalty)
        if found < lowest - _FALL * abs(lowest):
            lowest, kept, self.has_found = found, model.kept(), True
        else:
            model.restore(kept)
        way, tried = 1, 0
        while shakes and tried < SHK[0]:
            bound = lowest - _FALL * abs(lowest)
            found = model.shake(self._ways[way], self.penalty, kept, bound, _EPOCHS, rough, fine)
            yield
            shakes, tried = shakes - 1, tried + 1
            if found < bound:
                lowest, tried, self.has_found = found, 0, True
            else:
                way = (way + 1) % len(_SHAKES)
        yield from self._kick(model, rough, fine)

    @functools.cached_property
    def _ways(self):
        return [[self.relative(share, strength) for strength, share in way] for way in _SHAKES]

    def _kick(self, model, rough, fine):
        """Kicks of single features, to lower and lower minima."""
        place, misses = 0, 0
        most = max(1, int(1e7 / (3 * KK[2] * model.size * (1 + np.count_nonzero(model.w)))))
        left = KK[1]
        while misses < KK[0] and left > 0 and model.size:
            some = min(most, left)
            place, last, found = model.kick(self.penalty, place, some, _FALL, KK[2], rough, fine, KK[0] - misses)
            yield
            self.has_found |= found > 0
            misses = last if found else misses + some
            left -= some
