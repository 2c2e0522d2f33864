"""Active sets of quadratic programs: guesses of what is bound, and the points that solve for them.

With copies z of (A w, w), multipliers u of the equalities between both and v = z + u / rho, the
prox of v is at a side or at zero where the guess is that the solution is. Solving the equalities
that this implies, and guessing again at the result, is a semismooth Newton step on the
conditions of optimality.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.solvers.quadratic.linear_systems import System
from sparseopt.solvers.quadratic.quadratic_program import QuadraticProgram


def sides(program):
    """Lower and upper sides and slopes of (A w, w)."""
    return (
        np.append(program.row_lower, program.lower),
        np.append(program.row_upper, program.upper),
        np.append(np.zeros(program.row_lower.size), program.alpha),
    )


@dataclass(eq=False)
class ActiveSets:
    """The active sets of a program that were solved for, so that none is tried twice."""

    program: QuadraticProgram
    system: System
    tried: set = field(default_factory=set)

    def forget(self):
        """Allow all active sets again."""
        self.tried.clear()

    def points(self, w, y, v, rho, rounds=4):
        """Points and row multipliers of up to `rounds` new guesses, each made at the one before; from w and y."""
        program, m = self.program, self.program.A.shape[0]
        low, high, slopes = sides(program)
        threshold = slopes / rho
        for _ in range(rounds):
            z = np.minimum(np.maximum(v - np.clip(v, -threshold, threshold), low), high)
            bound = (z == low) | (z == high)
            bound[m:] |= (z[m:] == 0) & (program.alpha > 0)
            guess = np.packbits((z == low, z == high, z > 0)).tobytes()
            if guess in self.tried:
                return
            self.tried.add(guess)
            w, y = self._solved_on(w, y, z, bound)
            yield w, y
            pull = -(program.curve(w) + program.q + y @ program.A)
            v = np.append(program.A @ w, w) + np.append(y, pull) / rho

    def _solved_on(self, w, y, z, bound):
        """Minimiser with the bound entries of (A w, w) held at z, by refinement of a regularised system."""
        program, m = self.program, self.program.A.shape[0]
        rows, free = np.flatnonzero(bound[:m]), np.flatnonzero(~bound[m:])
        w, y = np.where(bound[m:], z[m:], w), np.where(bound[:m], y, 0.0)
        if free.size + rows.size == 0:
            return w, y
        cost = program.q + np.sign(z[m:]) * program.alpha
        solve, last = self.system.active(free, rows), np.inf
        best = w, y
        for _ in range(15):
            r, t = -(program.curve(w) + cost + y @ program.A)[free], (z[:m] - program.A @ w)[rows]
            size = max(np.max(np.abs(r), initial=0.0), np.max(np.abs(t), initial=0.0))
            if not size < last / 2:
                break
            best, last = (w.copy(), y.copy()), size
            dw, dy = solve(r, t)
            w[free] += dw
            y[rows] += dy
        return best
