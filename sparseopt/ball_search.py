"""The price of the L1 norm: problems in an L1 ball that has other constraints or a penalty beside it.

    minimise f(w) + g(w)   subject to   sum |w_j| <= r  and  w in C

The norm of the solution w(t) of the priced problem, f + g + t sum |w_j| over C, never grows with the price t (Everett,
1963). Two prices bracket the right one; the mixture of their solutions that lies on the sphere is feasible, since C is
convex, and exact where w(t) is linear between them, as for quadratic programs, or jumps at one price, as for linear
ones. Every price tried gives a lower bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sparseopt.certificate import certify
from sparseopt.constraints import Duals
from sparseopt.penalties import Zero
from sparseopt.proofs import kkt, priced_ball
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.proofs.multipliers import recover_duals
from sparseopt.solution import Solution, Status, TracePoint

# Prices tried where no limit is given: the bracket halves at least every third time.
USUAL_LIMIT = 100
# Factor of the price while the norm is still too large, and the price over the slope beyond which it may be so at any.
_GROWTH, _LARGEST_PRICE = 8.0, 1e8
# The priced problems are solved to this part of the tolerance, so that the mixture can meet it, and a norm beyond the
# radius by this part of it counts as inside.
_SHARPER, _INSIDE = 1e-3, 0.1
NO_DUALS = Duals(np.zeros(0), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Priced:
    """The solution at a price."""

    price: float
    w: np.ndarray
    norm: float
    rows: np.ndarray
    box: np.ndarray

    @classmethod
    def of(cls, price, problem, solution):
        """Multipliers are those of the solver, or recovered; none where the problem needs none."""
        w = np.asarray(solution.w, dtype=np.float64)
        duals = NO_DUALS
        if needs_multipliers(problem):
            duals = solution.duals or (recover_duals(problem, w) if kkt.covers(problem) else NO_DUALS)
        return cls(price, w, float(np.sum(np.abs(w))), duals.rows, duals.box)

    @property
    def duals(self):
        """The multipliers with the price."""
        return Duals(self.rows, self.box, ball=self.price)

    def mixed(self, other, part):
        """The mixture with `part` of another one."""
        price, w, rows, box = (
            (1.0 - part) * own + part * others
            for own, others in (
                (self.price, other.price), (self.w, other.w), (self.rows, other.rows), (self.box, other.box)
            )
        )  # fmt: skip
        return Priced(price, w, float(np.sum(np.abs(w))), rows, box)


@dataclass
class Search:
    """The search for the price; `solve_priced`, which is `solve` to a sharper tolerance, takes the problems without the ball."""

    problem: object
    solve_priced: object
    tol: float
    end: float
    w0: object = None

    def __post_init__(self):
        self.radius = priced_ball.radius_of(self.problem)
        self.low = self.high = self.best = None
        self.in_box = False  # where a priced problem is unbounded without it
        self.status, self.tried, self.last, self.solver = None, 0, None, ""

    def at(self, price):
        """Solve at a price; what is feasible or mixes into something feasible is looked at."""
        w0 = self.w0 if self.last is None else self.last.w
        problem = priced_ball.priced(self.problem, price, in_box=self.in_box)
        solution = self.solve_priced(problem, w0=w0, time_limit=self._seconds())
        self.tried, self.solver = self.tried + 1, solution.solver
        if solution.status is Status.UNBOUNDED and not self.in_box:
            self.in_box = True
            return self.at(price)
        if solution.status is Status.INFEASIBLE:
            certificate = certify(self.problem, solution.w, duals=NO_DUALS, ray=solution.certificate.ray)
            self.best, self.status = (solution.w, certificate), Status.INFEASIBLE
            return None
        found = self.last = Priced.of(price, problem, solution)
        if found.norm <= self.radius + _INSIDE * self.tol:
            self.high = found
        else:
            self.low = found
        self.look()
        return found

    def look(self):
        """Certify the mixture on the sphere, or what lies inside of the ball."""
        if self.high is None:
            return
        point = self.high if self.low is None else self.high.mixed(self.low, self._part())
        w = point.w.astype(self.problem.dtype)
        certificate = certify(self.problem, w, duals=point.duals)
        if self.best is None or certificate.gap < self.best[1].gap:
            self.best = w, certificate
        is_met = certificate.relative_gap <= self.tol and certificate.violation <= self.tol
        if is_met or (certificate.proof == "kkt" and certificate.gap <= self.tol and certificate.violation <= self.tol):
            self.best, self.status = (w, certificate), Status.CONVERGED
            self._clear(point)

    def _clear(self, point):
        """Take the solution at the price found where it has fewer nonzeros: a mixture has those of both ends."""
        fewest = min(np.count_nonzero(end.w) for end in (self.low, self.high) if end is not None)
        if np.count_nonzero(point.w) == fewest or self._seconds() == 0.0:
            return
        problem = priced_ball.priced(self.problem, point.price, in_box=self.in_box)
        solution = self.solve_priced(problem, w0=point.w.astype(self.problem.dtype), time_limit=self._seconds())
        certificate = certify(self.problem, solution.w, duals=Priced.of(point.price, problem, solution).duals)
        is_as_good = certificate.gap <= max(self.best[1].gap, _INSIDE * self.tol * certificate.reference)
        if is_as_good and certificate.violation <= _INSIDE * self.tol:
            self.best = solution.w, certificate

    def _part(self):
        """The part of the lower price's solution at which the mixture reaches the sphere: its norm is convex in it."""
        least, most = 0.0, 1.0
        for _ in range(60):
            part = (least + most) / 2
            if np.sum(np.abs((1.0 - part) * self.high.w + part * self.low.w)) <= self.radius:
                least = part
            else:
                most = part
        return least

    def run(self):
        """A generator of prices tried; ends with a status."""
        price = self._first_price()
        # without a price a loss alone may have solutions without number, the hardest of all to find
        if needs_multipliers(priced_ball.priced(self.problem, 0.0)) or not isinstance(self.problem.penalty, Zero):
            yield self.at(0.0)
        else:
            yield from self._downwards(price)
        if self.status is None and self.low is None:
            self.status = Status.STALLED  # inside of the ball without any price, but not to the tolerance
        while self.status is None and self.high is None:
            if price > _LARGEST_PRICE * self._first_price():
                self._prove_empty()
                return
            yield self.at(price)
            price *= _GROWTH
        while self.status is None:
            price = self._next_price()
            if not self.low.price < price < self.high.price:
                price = (self.low.price + self.high.price) / 2
            if not self.low.price < price < self.high.price:
                self.status = Status.STALLED
                return
            yield self.at(price)

    def _downwards(self, price):
        """Lower prices until the norm is too large; none at last."""
        last = price / _LARGEST_PRICE
        while self.status is None and self.low is None and price > 0.0:
            yield self.at(price)
            price = price / _GROWTH if price > last else 0.0

    def _first_price(self):
        slope = self.problem.loss.gradient(np.zeros(self.problem.n_features)).astype(np.float64)
        return float(np.max(np.abs(slope), initial=0.0)) / _GROWTH or 1.0

    def _next_price(self):
        """By the line through the norms at both ends, and every third time the middle."""
        low, high = self.low, self.high
        if self.tried % 3 == 0:
            return (low.price + high.price) / 2
        over, under = low.norm - self.radius, self.radius - high.norm
        return (low.price * under + high.price * over) / (over + under)

    def _seconds(self):
        return max(self.end - time.perf_counter(), 0.0)

    def _prove_empty(self):
        """Whether no point that satisfies the other constraints has so small a norm."""
        solution = self.solve_priced(priced_ball.least_norm(self.problem), solver=None, time_limit=self._seconds())
        duals = replace(solution.duals or NO_DUALS, ball=np.inf)
        certificate = certify(self.problem, solution.w, duals=duals)
        if certificate.proof == "infeasible ray":
            self.best, self.status = (solution.w, certificate), Status.INFEASIBLE
            return
        least = np.asarray(solution.w, dtype=np.float64)
        self.high = replace(self.last, w=least, norm=float(np.sum(np.abs(least))))
        self.low = None
        self.look()
        self.status = self.status or Status.STALLED


def solve_in_ball(problem, solve_priced, w0, limits, start, *, callback, trace):
    """The solution of a problem in an L1 ball.

    Parameters
    ----------
    problem : Problem
        One that `priced_ball.covers`.
    solve_priced : callable
        `solve`, for the problems without the ball.
    w0 : array or None
        Start of the first of them.
    limits : object with tol, iterations (prices tried) and seconds
    start : float
        When the run began.
    callback, trace
        As of `solve`, after each price.
    """
    search = Search(problem, partial(solve_priced, tol=_SHARPER * limits.tol), limits.tol, start + limits.seconds, w0)
    points = []
    for _ in search.run():
        w, certificate = search.best or (np.zeros(problem.n_features, dtype=problem.dtype), None)
        if trace and certificate is not None:
            points.append(_trace_point(search, w, certificate, time.perf_counter() - start))
        if callback is not None and callback(search.tried, _read_only(w)) is True:
            search.status = search.status or Status.STOPPED
        if search.tried >= limits.iterations:
            search.status = search.status or Status.ITERATION_LIMIT
        if time.perf_counter() - start > limits.seconds:
            search.status = search.status or Status.TIME_LIMIT
    w, certificate = search.best or _outside(search)
    return Solution(
        w=w + 0.0,  # a negative zero becomes a zero
        intercept=problem.loss.intercept_at(w.astype(np.float64)),
        status=search.status,
        certificate=certificate,
        iterations=search.tried,
        seconds=time.perf_counter() - start,
        solver=search.solver,
        trace=tuple(points),
        duals=certificate.duals,
        feature_names=problem.loss.feature_names,
        account=f"{search.tried} prices of the L1 norm, the last {certificate.duals.ball:.6g}",
    )


def _outside(search):
    """The last point where none in the ball was met, or zero."""
    problem, last = search.problem, search.last
    w = np.zeros(problem.n_features) if last is None else last.w
    w = w.astype(problem.dtype)
    return w, certify(problem, w, duals=NO_DUALS if last is None else last.duals)


def _read_only(w):
    view = w.view()
    view.flags.writeable = False
    return view


def _trace_point(search, w, certificate, seconds):
    return TracePoint(
        iterations=search.tried,
        seconds=seconds,
        objective=certificate.objective,
        gap=certificate.relative_gap,
        support_size=int(np.count_nonzero(w)),
        residual=certificate.stationarity,
        lower_bound=certificate.lower_bound,
    )
