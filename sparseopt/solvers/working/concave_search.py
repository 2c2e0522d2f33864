"""Low minima of a model under a penalty that is concave away from zero.

Such a penalty has many local minima. With less of its concavity it has few, near the good ones of the full penalty
(Mazumder, Friedman and Hastie, 2011): so the concavity comes up little by little, from minimum to minimum. Then the
minimum is shaken: less of the concavity and less strength let features in again, and the way back leads to another
minimum, which is kept where it is lower.
"""

from __future__ import annotations

import numpy as np

from sparseopt.penalties import concavity, straightened, strengthened

# Parts of the curvature of the loss that the concavity takes off: while the strength comes down, and from then on
# more by a factor each time.
_FIRST, _STEP = 1.0 / 12.0, 4.0
# Shakes: strengths and parts of the curvature on the way, the first two to more features, the last to fewer.
_SHAKES = (((0.7, 1.0 / 12.0), (0.85, 1.0 / 6.0)), ((0.5, 1.0 / 12.0), (0.7, 1.0 / 6.0)), ((2.0, 1.0 / 6.0),))
_MOST_SHAKES = 8
# Epochs on the way and at its end at most; last moves there, as a part of the slope.
_EPOCHS, _LAST_EPOCHS, _ROUGH, _FINE = 50, 100, 0.05, 0.01
# A fall of the objective, as a part of it, that counts.
_FALL = 1e-7


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

    def minima(self, model, scale):
        """Descend to one minimum of the model after another, to end at the lowest; each piece of work is a step of this generator."""
        self.has_found = False
        if self._share <= _FIRST:
            return
        yield from self._descend(model, (), scale)
        lowest, kept = model.height(self.penalty), model.kept()
        model.restore(model.origin())
        yield from self._descend(model, (), scale)
        if np.array_equal(np.sign(model.w), np.sign(kept[0])):
            # two ways lead to one minimum: there will hardly be another
            return
        way, tried = 0, 0
        for _ in range(_MOST_SHAKES):
            found = model.height(self.penalty)
            if found < lowest - _FALL * abs(lowest):
                lowest, kept, tried, self.has_found = found, model.kept(), 0, True
            else:
                model.restore(kept)
                way = (way + 1) % len(_SHAKES)
            if tried == len(_SHAKES):
                break
            yield from self._descend(model, _SHAKES[way], scale)
            tried += 1
        else:
            if model.height(self.penalty) > lowest:
                model.restore(kept)

    def _descend(self, model, ways, scale):
        for strength, share in ways:
            model.sweep(self.relative(share, strength), _ROUGH * scale, _EPOCHS)
            yield
        model.sweep(self.penalty, _FINE * scale, _LAST_EPOCHS)
        yield
