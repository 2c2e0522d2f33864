"""Cox's partial likelihood for times until an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import CSC, Dense, Design
from sparseopt.forms import DualRay
from sparseopt.inputs import as_targets
from sparseopt.losses.base import DualLoss, kept, rebuilt
from sparseopt.losses.risk_sets import RiskSets, RiskTerms, read_strata, risk_sets
from sparseopt.losses.samples import fitted, prepare_design, remembered

# Columns that are made dense at once, where X is sparse.
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Cox(DualLoss):
    """Minus the log partial likelihood (Cox, 1972) over n: the proportional hazards model.

    Each event contributes the logarithm of sum_j exp(x_j w) over those still at risk, minus its own
    x_i w. Weights multiply events and the terms of the sums; their mean counts as 1.

    Parameters
    ----------
    X : array, sparse matrix, data frame or Design of shape (n, p)
    time : array of shape (n,)
        Time of the event, or until which the sample was seen.
    event : array of shape (n,)
        True or 1 where the event was seen, False or 0 where the time is censored.
    ties : "breslow" or "efron", default "breslow"
        What becomes of equal event times: Breslow (1974) keeps all of them at risk for each;
        Efron (1977) takes them off one after another, in parts, which is closer to continuous time.
    sample_weight : array of shape (n,), optional
        Nonnegative; only their ratios matter.
    strata : array of shape (n,), optional
        Labels; risk sets do not reach across strata.
    intercept : bool, default False
        A constant cancels out of the partial likelihood, so True is refused.

    Raises
    ------
    ValueError, TypeError
        Where the data is malformed, or there is no event.
    """

    X: Design
    time: np.ndarray = field(metadata={"compiled": False})
    event: np.ndarray = field(metadata={"compiled": False})
    ties: Literal["breslow", "efron"] = field(default="breslow", metadata={"compiled": False})
    sample_weight: Term | None = None
    strata: np.ndarray | None = field(default=None, repr=False, metadata={"compiled": False})
    intercept: bool = field(default=False, kw_only=True, metadata={"compiled": False})
    risk: RiskSets = field(init=False, repr=False)
    #: One and zero in the type of the data.
    one: np.floating = field(init=False, repr=False)
    names: tuple | None = field(init=False, default=None, repr=False, metadata={"compiled": False})

    def __post_init__(self):
        X = prepare_design(self, self.X)
        n = X.shape[0]
        if self.intercept:
            raise ValueError("Cox has no intercept: a constant cancels out of the partial likelihood; leave it False.")
        if self.ties not in {"breslow", "efron"}:
            raise ValueError(f'ties must be "breslow" or "efron", got {self.ties!r}.')
        time, event = as_targets(self.time, n, np.float64, "time"), as_targets(self.event, n, np.float64, "event")
        if not np.all(np.isin(event, (0.0, 1.0))):
            wrong = event[~np.isin(event, (0.0, 1.0))][0]
            raise ValueError(
                f"event must be True or False, 1 or 0, got {wrong:g}: it says whether a time was observed."
            )
        strata = read_strata(self.strata, n)
        weights = np.broadcast_to(np.asarray(self.sample_weight.values, dtype=np.float64), n)
        is_event = (event == 1.0) & (weights > 0.0)
        if not np.any(is_event):
            raise ValueError("event holds no event with a positive weight, so that the likelihood is constant.")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "event", event == 1.0)
        object.__setattr__(self, "one", X.dtype.type(1))
        object.__setattr__(self, "risk", risk_sets(time, strata, is_event, weights, self.ties == "efron"))

    def at(self, i):
        """Weight of row i in a move of a fitted value."""
        return self.one

    def coordinate_slope(self, running, j):
        return self.X.pull(j, running)

    def move(self, running, j, step):
        half = running.size // 2
        self.X.push(j, step, self, running[half:])
        self.refresh(running[half:], running[:half])

    def settle(self, running):
        """There is no intercept."""

    def refresh(self, eta, u):
        """Slopes in all fitted values, into u; the part behind them is scratch."""
        self.risk.slopes(eta, self.sample_weight, u, u[self.risk.order.size + 1 :])

    def forward(self, w, eta):
        self.X.forward(w, eta)

    def backward(self, v, eta, u, slope):
        self.refresh(eta, u)
        self.X.adjoint(u, slope)

    def bend(self, d, image):
        return self.risk.bend(image)

    @property
    def image_size(self):
        """The fitted values, a spare entry and one a group of equal times."""
        return self.risk.order.size + 1 + self.risk.masses.size

    @property
    def weights(self):
        """Weight of each sample; they sum to one."""
        return np.broadcast_to(np.asarray(self.sample_weight.values, dtype=np.float64), self.risk.order.size)

    def predict(self, w):
        """Logarithms X w of the relative hazards."""
        return fitted(self, w)

    def image(self, w):
        image = np.zeros(self.image_size, dtype=self.dtype)
        image[: self.risk.order.size] = fitted(self, w)
        return image

    def start(self, w):
        u = np.zeros(self.image_size, dtype=self.dtype)
        u[: self.risk.order.size] = self._fitted_slopes(w)
        return np.concatenate([u, self.image(w)])

    def evaluate(self, w):
        terms = self._at(w)
        return float(np.sum(terms.weights * terms.logs) - np.sum((self.weights * terms.eta)[self.risk.events]))

    def gradient(self, w):
        return remembered(self, "_gradient", w, lambda w: self.X.rmatvec(self._fitted_slopes(w)))

    def _fitted_slopes(self, w):
        slopes = self._at(w).chances - np.where(self.risk.events, self.weights, 0.0)
        # their sum over a stratum is zero: what rounding leaves of it, columns far from zero would make a slope of
        sizes = np.abs(slopes)
        sums, totals = self.risk.over_strata(np.add, slopes), self.risk.over_strata(np.add, sizes)
        slopes -= sizes * (sums / np.maximum(totals, np.finfo(np.float64).tiny))
        return slopes.astype(fitted(self, w).dtype)

    def _at(self, w):
        """The terms at w, computed once."""
        return remembered(self, "_terms", np.asarray(w), self._terms_at)

    def _terms_at(self, w):
        eta = np.asarray(fitted(self, w), dtype=np.float64)
        # a number added to all of a stratum cancels out, and logarithms of sums lose no digits to it
        return RiskTerms(self.risk, eta - self.risk.over_strata(np.maximum, eta))

    def intercept_at(self, w):
        return 0.0

    def curvatures(self):
        return kept(self, "_curvatures", self._curvatures)

    def _curvatures(self):
        """The bound of `bend` for each column."""
        risk, p = self.risk, self.n_features
        bends = np.empty(p)
        for first in range(0, p, _BLOCK):
            block = np.arange(first, min(first + _BLOCK, p))
            columns = self.X.restrict(block).to_array() if isinstance(self.X, CSC) else self.X.matrix[:, block]
            high = risk.accumulated(np.maximum, risk.grouped(np.maximum, columns), later=True)
            low = risk.accumulated(np.minimum, risk.grouped(np.minimum, columns), later=True)
            bends[block] = risk.masses @ (high - low).astype(np.float64) ** 2 / 4
        return bends.astype(self.dtype)

    def hessian_bound(self, d):
        """Half of the identity minus the mean bounds the covariance of each risk set (Boehning, 1992)."""
        risk, z = self.risk, np.asarray(self.X.matvec(d), dtype=np.float64)
        sums = risk.accumulated(np.add, risk.grouped(np.add, z), later=True)
        sizes = risk.accumulated(np.add, np.diff(risk.starts), later=True)
        weight = risk.spread(risk.accumulated(np.add, risk.masses, later=False))
        means = risk.spread(risk.accumulated(np.add, risk.masses * sums / sizes, later=False))
        return self.X.rmatvec(((weight * z - means) / 2).astype(self.dtype)).astype(self.dtype)

    def hessian(self, w, columns):
        return self.model_hessian(w, columns, np.dtype(np.float64))

    def model_hessian(self, w, columns, dtype):
        """The sum over risk sets of the covariances of the columns, weighed by relative hazards."""
        X = self.X if np.array_equal(columns, np.arange(self.n_features)) else self.X.restrict(columns)
        part = X.values if isinstance(X, Dense) else X.to_array()
        # covariances do not change, and lose fewer digits
        part = np.ascontiguousarray(part - np.mean(part, axis=0, dtype=np.float64), dtype=dtype)
        terms = self._at(w)
        # of products of a matrix with itself BLAS computes one half only
        means = terms.means(part)
        means *= np.sqrt(terms.weights).astype(dtype)[:, None]
        part *= np.sqrt(np.maximum(terms.chances, 0.0)).astype(dtype)[:, None]
        return part.T @ part - means.T @ means

    def dual_ray(self, w):
        return _Chances(np.asarray(self.gradient(w), dtype=np.float64), self._at(w), self.weights)

    def restrict(self, columns):
        return rebuilt(self, X=self.X.restrict(np.asarray(columns)), names=None)


class _Chances(DualRay):
    """Slopes k (pi - e) of each term: the conjugate of a sum of log-sum-exp is at most the sum of the entropies.

    With pi the chances in a risk set and e_i one at event i, k (pi - e_i) = q - e_i for the chances
    q = k pi + (1 - k) e_i, whose entropy relative to the weights r is sum_j q_j log(q_j / r_j). Where Efron's
    terms have no event of their own, since the weights of the tied ones differ, e is the mean of these, and
    the entropy is bounded by its chord, being convex.
    """

    def __init__(self, slope, terms, weights):
        risk, eta = terms.risk, terms.eta
        self.slope = slope
        top = np.max(eta)
        with np.errstate(divide="ignore"):
            rest = np.exp(terms.log_sums(terms.heights + np.log(top - eta)) - terms.logs)
        events = risk.order[risk.events[risk.order]]
        index = (
            np.arange(events.size)
            if risk.is_efron
            else np.repeat(np.arange(terms.groups.size), risk.counts[terms.groups])
        )
        #: One entry an event: its weight, its logarithm of the sum, entropy, and the weight of the event in the sum.
        self.weights, self.logs = weights[events], terms.logs[index]
        self.entropies = (top - self.logs) - rest[index]
        self.shares = (1.0 - terms.parts[index]) * risk.shares[events]
        self.heights = eta[events] - self.logs
        self.size = float(np.sum(self.weights * (abs(top) + np.abs(self.logs) + rest[index])))
        self.means, self.is_mean = np.zeros(events.size), np.zeros(events.size, dtype=bool)
        if risk.is_efron:
            self.is_mean = np.abs(self.weights - terms.weights) > 1e-12 * terms.weights
            apart = np.bincount(terms.groups, self.is_mean, risk.masses.size)[terms.groups] > 0.0
            part = self.weights / risk.masses[terms.groups]
            own = np.bincount(terms.groups, part * np.log(part / risk.shares[events]), risk.masses.size)
            self.means, self.is_mean = own[terms.groups] - np.log(1.0 - terms.parts), apart
            self.weights = np.where(apart, terms.weights, self.weights)

    def conjugate(self, scale):
        chance = self.shares * np.exp(self.heights)
        own = scale * chance + (1.0 - scale)
        others = scale * (self.entropies - chance * self.heights)
        if scale > 0.0:
            others += scale * np.log(scale) * (1.0 - chance)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(own > 0.0, own * np.log(own / self.shares), 0.0)
        chord = scale * self.entropies + (1.0 - scale) * self.means
        return float(np.sum(self.weights * np.where(self.is_mean, chord, others + own))), self.size
