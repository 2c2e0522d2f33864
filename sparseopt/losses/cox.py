"""Cox's partial likelihood for times until an event."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from sparseopt._jit import Term, exp
from sparseopt.designs import CSC, Dense, Design
from sparseopt.forms import DualRay
from sparseopt.inputs import as_targets
from sparseopt.losses.base import DualLoss, kept, rebuilt
from sparseopt.losses.samples import fitted, prepare_design, remembered

# Columns that are made dense at once, where X is sparse.
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class RiskSets(Term):
    """Who is at risk when: samples sorted by stratum and time, in groups of equal times.

    The risk set of a group is that group and all later ones of its stratum.
    """

    #: Samples, sorted.
    order: np.ndarray
    #: Position of the first sample of each group, and the number of samples.
    starts: np.ndarray
    #: Whether a group is the first of its stratum; one entry more, which is True.
    opens: np.ndarray
    #: Number of events in each group, and their weight.
    counts: np.ndarray
    masses: np.ndarray
    #: Whether the sample has an event, one a sample; the weight of a sample, with mean 1.
    events: np.ndarray
    shares: np.ndarray
    is_efron: bool

    def measure(self, eta, logs):
        """Logarithm of sum r_j exp(eta_j) over each risk set, into `logs`: sums are kept relative to their largest term."""
        top, total = -math.inf, 0.0
        for g in range(self.masses.size - 1, -1, -1):
            if self.opens[g + 1]:
                top, total = -math.inf, 0.0
            for k in range(self.starts[g], self.starts[g + 1]):
                i = self.order[k]
                if eta[i] > top:
                    total *= exp(top - eta[i])
                    top = eta[i]
                total += self.shares[i] * exp(eta[i] - top)
            logs[g] = top + math.log(total) if total > 0.0 else -math.inf

    def rates(self, g, part):
        """Sum over the events of a group of weight / (1 - f part), and of f times that, f = 0, 1/d, 2/d ... (Efron, 1977)."""
        if not self.is_efron:
            return self.masses[g], 0.0
        all_rates, own = 0.0, 0.0
        for k in range(self.counts[g]):
            f = k / self.counts[g]
            rate = self.masses[g] / self.counts[g] / (1.0 - f * part)
            all_rates += rate
            own += f * rate
        return all_rates, own

    def slopes(self, eta, weight, u, logs):
        """Slope of the loss in each eta_i, into u; `logs` is scratch."""
        self.measure(eta, logs)
        hazard, last = 0.0, 0.0
        for g in range(self.masses.size):
            if self.opens[g]:
                hazard, last = 0.0, logs[g]
            own = 0.0
            if self.masses[g] > 0.0:
                part = 0.0
                for k in range(self.starts[g], self.starts[g + 1]):
                    i = self.order[k]
                    if self.events[i]:
                        part += self.shares[i] * exp(eta[i] - logs[g])
                rate, own = self.rates(g, part)
                # the hazard is kept in units of exp(-last), which only grow
                hazard = hazard * exp(logs[g] - last) + rate
                last = logs[g]
            for k in range(self.starts[g], self.starts[g + 1]):
                i = self.order[k]
                chance = self.shares[i] * exp(eta[i] - last)
                u[i] = chance * hazard
                if self.events[i]:
                    u[i] -= chance * own + weight.at(i)

    def bend(self, image):
        """A quarter of the squared range over each risk set bounds the variance there (Popoviciu, 1935)."""
        total, low, high = image.dtype.type(0), image.dtype.type(0), image.dtype.type(0)
        for g in range(self.masses.size - 1, -1, -1):
            if self.opens[g + 1]:
                low = high = image[self.order[self.starts[g]]]
            for k in range(self.starts[g], self.starts[g + 1]):
                z = image[self.order[k]]
                low, high = min(low, z), max(high, z)
            total += image.dtype.type(self.masses[g]) * (high - low) * (high - low) / 4
        return total

    @property
    def strata(self):
        """The groups of each stratum, as slices."""
        first = np.flatnonzero(self.opens)
        return [slice(a, b) for a, b in itertools.pairwise(first)]

    def accumulated(self, ufunc, values, *, later):
        """Running `ufunc` over the groups of each stratum: over a group and all later ones, or all earlier ones."""
        found = np.empty_like(values)
        for part in self.strata:
            if later:
                found[part] = ufunc.accumulate(values[part][::-1], axis=0)[::-1]
            else:
                found[part] = ufunc.accumulate(values[part], axis=0)
        return found

    def grouped(self, ufunc, values):
        """`ufunc` over the samples of each group."""
        if self.starts.size > self.order.size:
            return values[self.order]
        return ufunc.reduceat(values[self.order], self.starts[:-1], axis=0)

    def spread(self, values):
        """One value a group, handed to its samples."""
        found = np.empty((self.order.size, *values.shape[1:]), dtype=values.dtype)
        found[self.order] = np.repeat(values, np.diff(self.starts), axis=0)
        return found


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
        strata = _read_strata(self.strata, n)
        weights = np.broadcast_to(np.asarray(self.sample_weight.values, dtype=np.float64), n)
        is_event = (event == 1.0) & (weights > 0.0)
        if not np.any(is_event):
            raise ValueError("event holds no event with a positive weight, so that the likelihood is constant.")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "event", event == 1.0)
        object.__setattr__(self, "one", X.dtype.type(1))
        object.__setattr__(self, "risk", _risk_sets(time, strata, is_event, weights, self.ties == "efron"))

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
    def n_features(self):
        return self.X.shape[1]

    @property
    def n_entries(self):
        return self.X.n_entries

    @property
    def dtype(self):
        return self.X.dtype

    @property
    def image_size(self):
        """The fitted values, a spare entry and one a group of equal times."""
        return self.risk.order.size + 1 + self.risk.masses.size

    @property
    def feature_names(self):
        """Column names of the data frame that was given, or None."""
        return self.names

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
        return slopes.astype(fitted(self, w).dtype)

    def _at(self, w):
        """The terms at w, computed once."""
        return remembered(
            self, "_terms", np.asarray(w), lambda w: _Terms(self.risk, np.asarray(fitted(self, w), dtype=np.float64))
        )

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


class _Terms:
    """Logarithms of sums over risk sets, in numpy: one for each group with events, or for Efron one an event.

    `groups` says of which group a term is, `parts` the part of the group's events that it leaves out.
    """

    def __init__(self, risk, eta):
        self.risk, self.eta = risk, eta
        with np.errstate(divide="ignore"):
            self.heights = np.log(risk.shares) + eta
        happened = np.flatnonzero(risk.masses > 0.0)
        if risk.is_efron:
            counts = risk.counts[happened]
            self.groups = np.repeat(happened, counts)
            rank = np.arange(self.groups.size) - np.repeat(np.cumsum(counts) - counts, counts)
            self.parts = rank / risk.counts[self.groups]
            self.weights = risk.masses[self.groups] / risk.counts[self.groups]
        else:
            self.groups, self.parts, self.weights = happened, np.zeros(happened.size), risk.masses[happened]
        self.logs = self.log_sums(self.heights)

    def log_sums(self, heights):
        """Logarithm of the sum of exp(heights) over the risk set of each term."""
        risk = self.risk
        sums = risk.accumulated(np.logaddexp, risk.grouped(np.logaddexp, heights), later=True)[self.groups]
        if not np.any(self.parts):
            return sums
        events = risk.grouped(np.logaddexp, np.where(risk.events, heights, -np.inf))[self.groups]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums == -np.inf, sums, sums + np.log1p(-self.parts * np.exp(events - sums)))

    @cached_property
    def chances(self):
        """Sum over the terms of weight times the chance of each sample in its risk set."""
        risk = self.risk
        rates = np.full(risk.masses.size, -np.inf)
        np.logaddexp.at(rates, self.groups, np.log(self.weights) - self.logs)
        hazards = risk.spread(risk.accumulated(np.logaddexp, rates, later=False))
        chances = np.exp(self.heights + hazards)
        if not np.any(self.parts):
            return chances
        spared = np.full(risk.masses.size, -np.inf)
        with np.errstate(divide="ignore"):
            np.logaddexp.at(spared, self.groups, np.log(self.weights * self.parts) - self.logs)
        return chances - np.where(risk.events, np.exp(self.heights + risk.spread(spared)), 0.0)

    def means(self, columns):
        """Mean of each column over the risk set of each term, by relative hazards; zero where sums underflow."""
        risk, dtype = self.risk, columns.dtype
        base = np.empty(risk.masses.size)
        for stratum in risk.strata:
            base[stratum] = np.max(self.heights[risk.order[risk.starts[stratum.start] : risk.starts[stratum.stop]]])
        scaled = np.exp(self.heights - risk.spread(base)).astype(dtype)[:, None] * columns
        sums = risk.accumulated(np.add, risk.grouped(np.add, scaled), later=True)[self.groups]
        if np.any(self.parts):
            parts = self.parts.astype(dtype)[:, None]
            sums -= parts * risk.grouped(np.add, risk.events[:, None] * scaled)[self.groups]
        totals = np.exp(self.logs - base[self.groups]).astype(dtype)[:, None]
        is_known = totals > np.finfo(dtype).tiny / np.finfo(dtype).eps
        return np.divide(sums, totals, out=np.zeros_like(sums), where=is_known)


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


def _read_strata(strata, n):
    if strata is None:
        return np.zeros(n, dtype=np.int64)
    labels = np.asarray(strata)
    if labels.shape != (n,):
        raise ValueError(f"strata has shape {labels.shape} for {n} samples; give one label a sample.")
    return np.unique(labels, return_inverse=True)[1]


def _risk_sets(time, strata, is_event, weights, is_efron):
    order = np.lexsort((time, strata))
    sorted_time, sorted_strata = time[order], strata[order]
    new_stratum = np.diff(sorted_strata, prepend=-1) != 0
    first = np.flatnonzero(new_stratum | (np.diff(sorted_time, prepend=np.inf) != 0))
    counts = np.add.reduceat(is_event[order].astype(np.int64), first)
    return RiskSets(
        order=order,
        starts=np.append(first, order.size),
        opens=np.append(new_stratum[first], True),
        counts=counts,
        masses=np.add.reduceat(np.where(is_event, weights, 0.0)[order], first),
        events=is_event,
        shares=weights * order.size,
        is_efron=is_efron,
    )
