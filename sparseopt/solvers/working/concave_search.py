"""Low minima of a model under a penalty that is concave away from zero.

Such a penalty has many local minima. With less of its concavity it has few, near the good ones of the full penalty
(Mazumder, Friedman and Hastie, 2011): so the concavity comes up little by little, from minimum to minimum. Then the
minimum is shaken: less of the concavity and less strength let features in again, and the way back leads to another
minimum, which is kept where it is lower. At last single features are kicked out of it: each is held at zero while
the others take its place, and may then come back.
"""

from __future__ import annotations

import numpy as np

from sparseopt.penalties import concavity, straightened, strengthened

# Parts of the curvature of the loss that the concavity takes off: while the strength comes down, and from then on
# more by a factor each time.
_FIRST, _STEP = 1.0 / 12.0, 4.0
# Shakes: strengths and parts of the curvature on the way, the first two to more features, the last to fewer; the kernel
# takes two of each.
_SHAKES = (
    ((0.7, 1.0 / 12.0), (0.85, 1.0 / 6.0)),
    ((0.5, 1.0 / 12.0), (0.7, 1.0 / 6.0)),
    ((2.0, 1.0 / 6.0), (2.0, 1.0 / 6.0)),
)
_MOST_SHAKES = 8
# Epochs on the way and at its end at most; last moves there, as a part of the slope.
_EPOCHS, _LAST_EPOCHS, _ROUGH, _FINE = 50, 100, 0.05, 0.01
# And on the way to the first minimum of a model that has all features; factor of the strength there.
_DOWN, _SHRINK = 100, 0.4
# Kicks that may miss in a row, and all; epochs for which a feature is held at zero, and multiplications of one call.
_MISSES, _MOST_KICKS, _HOLD, _AT_ONCE = 6, 40, 5, 1e7
# A fall of the objective, as a part of it, that counts: more than what is left of one minimum.
_FALL = 1e-5


def _median(values):
    """The median, as numpy has it, whose own function asks more questions than it sorts."""
    half, odd = divmod(values.size, 2)
    middle = np.partition(values, (half + odd - 1, half))
    return float(middle[half] if odd else (middle[half - 1] + middle[half]) / 2.0)


class ConcaveSearch:
    """A penalty, and what it is with less of its concavity or another strength."""

    def __init__(self, penalty, curvatures):
        self.penalty = penalty
        bent = curvatures[curvatures > 0.0]
        curvature = _median(bent) if bent.size else 1.0
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

    def descent(self, model, scale, strength):
        """Come down from a strength, and to the full concavity, on a model that has all features, and then to `minima`."""
        while strength > 1.0:
            strength = max(1.0, _SHRINK * strength)
            model.sweep(self.relative(self.share, strength), _ROUGH * scale, _DOWN)
            yield
        while not self.is_bent:
            self.bend()
            if not self.is_bent:
                model.sweep(self.relative(self.share), _ROUGH * scale, _DOWN)
                yield
        yield from self.minima(model, scale)

    def minima(self, model, scale):
        """Descend to one minimum of the model after another, to end at the lowest; each piece of work is a step of this generator."""
        self.has_found = False
        if self._share <= _FIRST:
            return
        tolerances = _ROUGH * scale, _FINE * scale
        model.sweep(self.penalty, tolerances[1], _LAST_EPOCHS)
        yield
        lowest, kept = model.height(self.penalty), model.kept()
        model.restore(model.origin())
        model.sweep(self.penalty, tolerances[1], _LAST_EPOCHS)
        yield
        # where two ways lead to one minimum, shakes will hardly lead to another
        is_alone = np.array_equal(np.sign(model.w), np.sign(kept[0]))
        found = model.height(self.penalty)
        if found < lowest - _FALL * abs(lowest):
            lowest, kept, self.has_found = found, model.kept(), True
        else:
            model.restore(kept)
        if not is_alone:
            yield from self._shake(model, lowest, kept, tolerances)
        yield from self._kick(model, tolerances)

    def _shake(self, model, lowest, kept, tolerances):
        """Shakes to lower and lower minima, until each of them has failed in a row."""
        ways = [[self.relative(share, strength) for strength, share in way] for way in _SHAKES]
        # the way from zero was much like the first
        way, failed = 1, 0
        for _ in range(_MOST_SHAKES):
            bound = lowest - _FALL * abs(lowest)
            found = model.shake(ways[way], self.penalty, kept, bound, _EPOCHS, *tolerances)
            yield
            if found < bound:
                lowest, failed, self.has_found = found, 0, True
                continue
            way, failed = (way + 1) % len(ways), failed + 1
            if failed == len(ways):
                return

    def _kick(self, model, tolerances):
        """Kicks of one feature after another, to lower and lower minima."""
        at_once = 1 + int(_AT_ONCE / (3 * _HOLD * (model.size + 1) * (np.count_nonzero(model.w) + 1)))
        place, misses, left = 0, 0, _MOST_KICKS
        while misses < _MISSES and left > 0:
            most = min(at_once, left)
            place, kicks, last = model.kick(self.penalty, place, most, _FALL, _HOLD, *tolerances, _MISSES - misses)
            yield
            self.has_found |= last < kicks
            misses = last if last < kicks else misses + last
            left = left - kicks if kicks == most else 0
