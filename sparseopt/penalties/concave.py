"""Penalties that are concave away from zero, steeper than L1 near it: logarithm and roots.

The prox minimises c h(w) + (w - a)**2 / 2 over w >= 0, where c = step alpha and a = |v|. It is
zero or the larger stationary point, whichever costs less; the smaller one is a maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparseopt.inputs import as_number, as_strength
from sparseopt.penalties.base import Penalty

# Beyond this ratio to the threshold the first two terms of the root's series are exact in float64.
_FAR = 1e8


@dataclass(frozen=True)
class LogSum(Penalty):
    """alpha log(1 + |w| / eps) (Candes, Wakin and Boyd, 2008): slope alpha / eps at zero, 1 / |w| far out.

    Parameters
    ----------
    alpha : float >= 0
        Weight of the logarithm, in the units of the loss.
    eps : float > 0, default 1
        In the units of w; where the slope has fallen to half. The smaller, the closer to L0.
    """

    alpha: float
    eps: float = 1.0
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))
        object.__setattr__(self, "eps", as_number(self.eps, "eps", above=0.0))

    def value(self, w):
        return self.alpha * math.log1p(abs(w) / self.eps)

    def prox(self, v, step):
        a, c = abs(v), step * self.alpha
        if a == 0.0:
            return 0.0
        # (w - a)(w + eps) + c = 0, with squares taken of ratios only
        scale = a + self.eps
        discriminant = 1.0 - 4.0 * (c / scale) / scale
        if discriminant <= 0.0:
            return 0.0
        w = 0.5 * (a - self.eps) + 0.5 * scale * math.sqrt(discriminant)
        if w <= 0.0 or c * (math.log1p(w / self.eps) / w) >= a - 0.5 * w:
            return 0.0
        return math.copysign(w, v)


@dataclass(frozen=True)
class LHalf(Penalty):
    """alpha |w|**(1/2), L1/2 in the literature (Xu, Chang, Xu and Zhang, 2012).

    Parameters
    ----------
    alpha : float >= 0
        Weight, in the units of loss / sqrt(w).
    """

    alpha: float
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))

    def value(self, w):
        return self.alpha * math.sqrt(abs(w))

    def prox(self, v, step):
        a = abs(v)
        jump = (step * self.alpha) ** (2.0 / 3.0)
        # at a = 3/2 c**(2/3) the points 0 and c**(2/3) cost the same
        if a <= 1.5 * jump:
            return 0.0
        angle = math.acos(0.25 * (3.0 * jump / a) ** 1.5)
        return v * ((2.0 / 3.0) * (1.0 + math.cos((2.0 / 3.0) * (math.pi - angle))))


@dataclass(frozen=True)
class LTwoThirds(Penalty):
    """alpha |w|**(2/3), L2/3 in the literature (Cao, Sun and Xu, 2013).

    Parameters
    ----------
    alpha : float >= 0
        Weight, in the units of loss / w**(2/3).
    """

    alpha: float
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))

    def value(self, w):
        return self.alpha * abs(w) ** (2.0 / 3.0)

    def prox(self, v, step):
        a, c = abs(v), step * self.alpha
        jump = (2.0 / 3.0 * c) ** 0.75
        # at a = 2 (2c/3)**(3/4) the points 0 and a / 2 cost the same
        if a <= 2.0 * jump:
            return 0.0
        if not a < _FAR * jump:
            return v - math.copysign(2.0 / 3.0 * c / a ** (1.0 / 3.0), v)
        # x = w**(1/3) solves x**4 - a x + 2c/3 = 0 (Ferrari); in units where 2c/3 = 1
        b = a / jump
        cosh = math.cosh(math.acosh(b * b * math.sqrt(27.0) / 16.0) / 3.0)
        twice = math.sqrt(4.0 / math.sqrt(3.0) * cosh)
        x = 0.5 * (twice + math.sqrt(2.0 * b / twice - twice * twice))
        return math.copysign(jump * x * x * x, v)
