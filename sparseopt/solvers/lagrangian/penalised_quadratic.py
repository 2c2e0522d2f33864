"""A quadratic model with soft rows, an L1 norm and a box, minimised without a look at the user's functions.

    q'd + d'B d / 2 + sum_i rho_i dist(t_i + (J d)_i, [lower_i, upper_i])**2 / 2 + sum_j g_j(x_j + d_j)

with g_j(u) = a_j |u| + b_j u**2 / 2 on [l_j, u_j]. It is what an augmented Lagrangian looks like from x where its
functions are linearised inside and curved as B: the step of a stabilised sequential quadratic program (Wright,
1998). Convex and piecewise quadratic, it is minimised by Newton steps on the pieces that a proximal step points
out (semismooth Newton with an active set: Bertsekas, 1982; Hintermueller, Ito and Kunisch, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy import sparse

from sparseopt.forms import SeparableForm
from sparseopt.solvers.lagrangian.quasi_newton import QuasiNewton

_ROUNDS = 60
_HALVINGS = 10
_ROUNDING = 1e-15
# Free coefficients beyond which a Newton system is solved by conjugate gradients.
_LARGEST = 1500
_CG_STEPS = 100


@dataclass(eq=False)
class PenalisedQuadratic:
    """The model at x, with its rows' values t shifted by their multipliers."""

    x: np.ndarray
    slope: np.ndarray
    curvature: QuasiNewton
    J: np.ndarray | sparse.csr_array
    t: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    rho: np.ndarray
    form: SeparableForm
    #: Added to the diagonal of B.
    shift: float = 0.0

    def value(self, d, excess=None, bent=None):
        """The model at x + d."""
        excess = self._excess(d) if excess is None else excess
        bent = self._bent(d) if bent is None else bent
        smooth = self.slope @ d + d @ bent / 2 + self.rho @ (excess * excess) / 2
        u = self.x + d
        return float(smooth + self.form.a @ np.abs(u) + self.form.b @ (u * u) / 2)

    def minimise(self, tol):
        """The minimiser to a tolerance on the slope, or the best point after some rounds."""
        d = np.clip(self.x, self.form.lower, self.form.upper) - self.x
        equal = self.lower == self.upper
        base = self.curvature.diagonal() + self.shift
        squares = _squares(self.J)
        excess, bent = self._excess(d), self._bent(d)
        height = self.value(d, excess, bent)
        flat = 0
        for _ in range(_ROUNDS):
            slope = self.slope + bent + self.J.T @ (self.rho * excess)
            active = np.flatnonzero((excess != 0.0) | equal)
            step = 1.0 / np.maximum(base + squares[active].T @ self.rho[active], 1e-300)
            z = prox_of(self.form, self.x + d - step * slope, step)
            if np.max(np.abs(z - self.x - d) / step, initial=0.0) <= tol:
                break
            found = self._shorten(d, height, self._newton(d, slope, active, z), 1)
            if found is None:
                found = self._bend(d, height, slope, active)
            if found is None:
                safe = 1.0 / float(np.sum(base) + np.sum(squares[active].T @ self.rho[active]))
                found = self._shorten(d, height, prox_of(self.form, self.x + d - safe * slope, safe) - self.x)
            if found is None:
                break
            # where rounding hides the fall there is little left to find
            flat = flat + 1 if found[3] >= height - _ROUNDING * abs(height) else 0
            d, excess, bent, height = found
            if flat > 1:
                break
        return d

    def _newton(self, d, slope, active, z):
        """The minimiser of the piece on which z lies, brought back into it coordinate by coordinate."""
        form, u = self.form, self.x + d
        is_free = ((z != 0.0) | (form.a == 0.0)) & (z > form.lower) & (z < form.upper)
        free, fixed = np.flatnonzero(is_free), np.flatnonzero(~is_free)
        aim = z.copy()
        if free.size:
            moved = np.zeros_like(d)
            moved[fixed] = z[fixed] - u[fixed]
            rest = slope + self._bent(moved)
            rows = self.J[active]
            rest = rest + rows.T @ (self.rho[active] * (rows @ moved))
            right = -(rest[free] + form.a[free] * np.sign(z[free]) + form.b[free] * u[free])
            aim[free] = u[free] + self._solve(free, active, right)
            crosses = is_free & (form.a > 0.0) & (aim * z < 0.0)
            aim[crosses] = 0.0
            aim = np.minimum(np.maximum(aim, form.lower), form.upper)
        return aim - self.x

    def _bend(self, d, height, slope, active):
        """A Newton step on what no bound and no kink holds at its place, bent along these (Bertsekas, 1982); None for none."""
        form, u = self.form, self.x + d
        sign = np.where(u == 0.0, -np.sign(slope), np.sign(u))
        slope = slope + form.a * sign + form.b * u
        held = (u == 0.0) & (form.a > 0.0) & (slope * sign >= 0.0)
        held |= ((u <= form.lower) & (slope >= 0.0)) | ((u >= form.upper) & (slope <= 0.0))
        free = np.flatnonzero(~held)
        if free.size == 0:
            return None
        step = self._solve(free, active, -slope[free])
        for halving in range(2 * _HALVINGS):
            aim = u.copy()
            aim[free] += 0.5**halving * step
            aim[(form.a > 0.0) & (aim * sign < 0.0)] = 0.0
            aim = np.minimum(np.maximum(aim, form.lower), form.upper)
            new = aim - self.x
            excess, bent = self._excess(new), self._bent(new)
            there = self.value(new, excess, bent)
            if there < height:
                return new, excess, bent, there
        return None

    def _solve(self, free, active, right):
        rank = active.size + self.curvature.rank
        if 2 * rank < free.size:
            return self._solve_low_rank(free, active, right)
        if free.size > _LARGEST:
            return self._conjugate_gradients(free, active, right)
        H = self.curvature.block(free)
        H.flat[:: free.size + 1] += self.shift + self.form.b[free]
        if active.size:
            rows = self.J[active][:, free]
            rows = rows.toarray() if sparse.issparse(rows) else rows
            H += rows.T @ (self.rho[active, None] * rows)
        for damping in (0.0, 1e-12, 1e-8, 1e-4):
            H.flat[:: free.size + 1] += damping * np.max(np.abs(H.diagonal()))
            factor, info = scipy.linalg.lapack.dpotrf(H, lower=1, clean=0)
            if info == 0:
                return scipy.linalg.lapack.dpotrs(factor, right, lower=1)[0]
        return right / np.max(np.abs(H.diagonal()))

    def _solve_low_rank(self, free, active, right):
        """The same where all but few directions curve like a diagonal (Woodbury's formula, refined once)."""
        diagonal = self.curvature.theta + self.shift + self.form.b[free]
        W, middle = self.curvature.low_rank(free)
        rows = self.J[active][:, free]
        rows = rows.toarray() if sparse.issparse(rows) else rows
        U = np.hstack([W, rows.T])
        inner = scipy.linalg.block_diag(-middle, np.diag(1.0 / self.rho[active])) + U.T @ (U / diagonal[:, None])
        factor = scipy.linalg.lu_factor(inner, check_finite=False)

        def solved(part):
            return (part - U @ scipy.linalg.lu_solve(factor, U.T @ (part / diagonal))) / diagonal

        found = solved(right)
        bent = (
            diagonal * found - W @ np.linalg.solve(middle, W.T @ found) + rows.T @ (self.rho[active] * (rows @ found))
        )
        return found + solved(right - bent)

    def _conjugate_gradients(self, free, active, right):
        rows, full = self.J[active], np.zeros_like(self.x)

        def product(part):
            full[free] = part
            return (self._bent(full) + self.form.b * full + rows.T @ (self.rho[active] * (rows @ full)))[free]

        operator = scipy.sparse.linalg.LinearOperator((free.size, free.size), matvec=product, dtype=np.float64)
        return scipy.sparse.linalg.cg(operator, right, rtol=1e-8, maxiter=_CG_STEPS)[0]

    def _shorten(self, d, height, aim, halvings=_HALVINGS):
        """The first point on the way to `aim` that is lower, with what is known of it; None for none."""
        for halving in range(halvings):
            new = d + 0.5**halving * (aim - d)
            excess, bent = self._excess(new), self._bent(new)
            there = self.value(new, excess, bent)
            if there < height or (halving == 0 and there <= height + _ROUNDING * abs(height)):
                return new, excess, bent, there
        return None

    def _excess(self, d):
        t = self.t + self.J @ d
        return t - np.minimum(np.maximum(t, self.lower), self.upper)

    def _bent(self, d):
        return self.curvature.product(d) + self.shift * d


def prox_of(form, v, step):
    """Prox of a separable convex form."""
    shrunk = np.maximum(np.abs(v) - step * form.a, 0.0) * np.sign(v)
    return np.minimum(np.maximum(shrunk / (1.0 + step * form.b), form.lower), form.upper)


def _squares(J):
    return sparse.csr_array(J.multiply(J)) if sparse.issparse(J) else J * J
