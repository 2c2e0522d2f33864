"""Risk sets of Cox's partial likelihood: who is at risk at each event, and sums over them.

A sum over a risk set runs over a group of equal times and all later ones, so one pass from the end has all of them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparseopt._jit import Term, exp


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

    def over_strata(self, ufunc, values):
        """`ufunc` over the samples of a stratum, handed to each of them."""
        first = self.starts[:-1][self.opens[:-1]]
        found = np.empty_like(values)
        found[self.order] = np.repeat(ufunc.reduceat(values[self.order], first), np.diff(first, append=self.order.size))
        return found

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


class RiskTerms:
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


def read_strata(strata, n):
    """The stratum of each sample as a number from zero on."""
    if strata is None:
        return np.zeros(n, dtype=np.int64)
    labels = np.asarray(strata)
    if labels.shape != (n,):
        raise ValueError(f"strata has shape {labels.shape} for {n} samples; give one label a sample.")
    return np.unique(labels, return_inverse=True)[1]


def risk_sets(time, strata, is_event, weights, is_efron):
    """The risk sets of samples with these times, strata, events and weights."""
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
