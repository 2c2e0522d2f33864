"""Quadratic programs with two-sided rows and bounds: from files, and from generators.

minimise  x'Px/2 + q'x   subject to  row_lower <= A x <= row_upper,  lower <= x <= upper
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import io, sparse

# What the files mean by infinity.
INFINITE = 9e19


@dataclass(frozen=True, eq=False)
class Program:
    """One program; the matrices are CSC with sorted entries, since some peers fail on others."""

    name: str
    P: sparse.csc_matrix
    q: np.ndarray
    A: sparse.csc_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def is_small(self):
        """Whether it belongs to the dense subset of Maros and Meszaros: at most 1,000 coefficients and sides of rows."""
        equal = self.row_lower == self.row_upper
        sides = np.isfinite(self.row_lower).sum() + np.isfinite(self.row_upper).sum() - equal.sum()
        return self.q.size <= 1000 and self.q.size + int(sides) <= 1000

    @property
    def is_medium(self):
        """Whether it is beyond the dense subset, with at most 6,000 coefficients and rows together."""
        return not self.is_small and self.q.size + self.row_lower.size <= 6000


def residuals(program, x, y, z):
    """Violation, stationarity and gap in absolute terms (as qpbenchmark has them), and in relative ones.

    Multipliers of rows y and of bounds z that pull on an infinite side count as absent.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(z).all()):
        return (np.inf,) * 3, (np.inf,) * 3
    y = np.where(np.isfinite(np.where(y > 0, program.row_upper, program.row_lower)), y, 0.0)
    z = np.where(np.isfinite(np.where(z > 0, program.upper, program.lower)), z, 0.0)
    curved, rows, pulled = program.P @ x, program.A @ x, program.A.T @ y
    excess = (rows - program.row_upper, program.row_lower - rows, x - program.upper, program.lower - x)
    violation = max(np.max(part, initial=0.0) for part in excess)
    stationarity = _largest(curved + program.q + pulled + z)
    support = _support(y, program.row_lower, program.row_upper) + _support(z, program.lower, program.upper)
    gap = abs(float(x @ curved + program.q @ x) + support)
    objective = float(x @ curved) / 2 + float(program.q @ x)
    sides = np.concatenate([program.row_lower, program.row_upper, program.lower, program.upper])
    scales = (
        max(1.0, _largest(rows), _largest(x), _largest(sides[np.isfinite(sides)])),
        max(1.0, _largest(curved), _largest(program.q), _largest(pulled), _largest(z)),
        max(1.0, abs(objective)),
    )
    absolute = (float(violation), stationarity, gap)
    return absolute, tuple(value / scale for value, scale in zip(absolute, scales, strict=True))


def _largest(v):
    return float(np.max(np.abs(v), initial=0.0))


def _support(multipliers, lower, upper):
    used = multipliers != 0
    return float(multipliers[used] @ np.where(multipliers > 0, upper, lower)[used])


def stored(folder):
    """Programs of the .mat files of a folder, in the layout of Maros and Meszaros as OSQP's benchmarks keep them.

    Their A ends with a row for each bound. Of .npz files `_from_arrays` says what they hold.
    """
    for file in sorted(Path(folder).glob("*.npz")):
        yield _from_arrays(file)
    for file in sorted(Path(folder).glob("*.mat")):
        content = io.loadmat(file)
        q = content["q"].ravel().astype(float)
        A = sparse.csc_matrix(content["A"].astype(float))
        lower, upper = (content[side].ravel().astype(float) for side in "lu")
        lower[lower < -INFINITE], upper[upper > INFINITE] = -np.inf, np.inf
        m = A.shape[0] - q.size
        yield _program(
            file.stem, sparse.csc_matrix(content["P"].astype(float)), q, A[:m],
            lower[:m], upper[:m], lower[m:], upper[m:],
        )  # fmt: skip


def _from_arrays(file):
    """Sides l and u of rows, lb and ub of coefficients, and the matrices P and A by their CSC arrays."""
    content = np.load(file)
    m, n = content["shape"]
    P, A = (
        sparse.csc_matrix(tuple(content[f"{name}_{part}"] for part in ("data", "indices", "indptr")), shape=(rows, n))
        for name, rows in (("P", n), ("A", m))
    )
    sides = (
        np.where(np.abs(content[side]) > INFINITE, np.copysign(np.inf, content[side]), content[side]) for side in "lu"
    )
    bounds = (content[side].astype(float) for side in ("lb", "ub"))
    return _program(file.stem, P, content["q"].astype(float), A, *sides, *bounds)


def _program(name, P, q, A, row_lower, row_upper, lower=-np.inf, upper=np.inf):
    P, A = sparse.csc_matrix(P), sparse.csc_matrix(A)
    for matrix in (P, A):
        matrix.sum_duplicates()
        matrix.sort_indices()
    wide = (np.broadcast_to(bound, q.size).astype(float) for bound in (lower, upper))
    return Program(name, P, q, A, row_lower, row_upper, *wide)


def generated(scale=1):
    """Programs of the kinds that OSQP's authors generate (Stellato et al., 2020), in two sizes each."""
    rng = np.random.default_rng(0)
    for size in (20 * scale, 60 * scale):
        yield _random(size, rng)
        yield _portfolio(5 * size, max(size // 10, 2), rng)
        yield _lasso(size // 4, rng)
        yield _support_vectors(size // 4, rng)
        yield _huber(size // 4, rng)


def regressions(sizes):
    """The lasso, Huber's regression and support vectors with these numbers of features."""
    for n in sizes:
        rng = np.random.default_rng(n)
        yield _lasso(n, rng)
        yield _huber(n, rng)
        yield _support_vectors(n, rng)


def large():
    """The same kinds with up to 100,000 variables, and the control of linear systems."""
    rng = np.random.default_rng(1)
    yield _random(300, rng)
    yield _equalities(2000, rng)
    yield _portfolio(10_000, 100, rng)
    yield _portfolio(100_000, 20, rng)
    yield _lasso(50, rng)
    yield _lasso(300, rng)
    yield _support_vectors(50, rng)
    yield _support_vectors(300, rng)
    yield _huber(50, rng)
    yield _huber(300, rng)
    yield _control(20, 100, rng)
    yield _control(40, 1000, rng)


def _random(n, rng):
    M = sparse.random_array((n, n), density=0.15, rng=rng, data_sampler=rng.standard_normal)
    A = sparse.random_array((10 * n, n), density=0.15, rng=rng, data_sampler=rng.standard_normal)
    upper = A @ rng.standard_normal(n) + rng.random(10 * n)
    return _program(
        f"random {n}", M @ M.T + 1e-2 * sparse.eye(n), rng.standard_normal(n), A, np.full(10 * n, -np.inf), upper
    )


def _equalities(n, rng):
    M = sparse.random_array((n, n), density=5 / n, rng=rng, data_sampler=rng.standard_normal)
    A = sparse.random_array((n // 2, n), density=5 / n, rng=rng, data_sampler=rng.standard_normal)
    side = A @ rng.standard_normal(n)
    return _program(f"equalities {n}", M @ M.T + 1e-2 * sparse.eye(n), rng.standard_normal(n), A, side, side)


def _control(n, horizon, rng):
    """States x_0 .. x_T and inputs u_0 .. u_{T-1} of x_{t+1} = F x_t + G u_t from a given x_0, in boxes."""
    inputs = n // 2
    F = np.eye(n) + 0.1 * rng.standard_normal((n, n))
    F /= max(1.0, 1.01 * np.max(np.abs(np.linalg.eigvals(F))))
    G = rng.standard_normal((n, inputs))
    cost = np.where(rng.random(n) < 0.7, 10 * rng.random(n), 0.0)
    P = sparse.block_diag([
        sparse.kron(sparse.eye(horizon + 1), sparse.diags_array(cost)), 0.1 * sparse.eye(horizon * inputs)
    ])  # fmt: skip
    shifted = sparse.eye(horizon + 1, k=-1)
    states = sparse.kron(shifted, F) - sparse.eye((horizon + 1) * n)
    moved = sparse.kron(sparse.vstack([sparse.csc_array((1, horizon)), sparse.eye(horizon)]), G)
    start = rng.uniform(-0.5, 0.5, n)
    side = np.append(-start, np.zeros(horizon * n))
    upper = np.append(np.full((horizon + 1) * n, 1.0 + rng.random()), np.full(horizon * inputs, 0.1))
    return _program(
        f"control {n} x {horizon}", P, np.zeros(upper.size), sparse.hstack([states, moved]), side, side, -upper, upper
    )


def _portfolio(n, k, rng):
    """Mean and variance with k factors y = F'x."""
    F = sparse.random_array((n, k), density=0.5, rng=rng, data_sampler=rng.standard_normal)
    P = sparse.block_diag([2 * sparse.diags_array(rng.random(n) * np.sqrt(k)), 2 * sparse.eye(k)])
    A = sparse.vstack([
        sparse.hstack([np.ones((1, n)), sparse.csc_array((1, k))]), sparse.hstack([F.T, -sparse.eye(k)])
    ])  # fmt: skip
    side = np.append(1.0, np.zeros(k))
    lower, upper = np.append(np.zeros(n), np.full(k, -np.inf)), np.append(np.ones(n), np.full(k, np.inf))
    q = np.append(-rng.standard_normal(n), np.zeros(k))
    return _program(f"portfolio {n}", P, q, A, side, side, lower, upper)


def _regression(n, rng):
    m = 100 * n
    A = sparse.random_array((m, n), density=0.15, rng=rng, data_sampler=rng.standard_normal)
    true = np.where(rng.random(n) < 0.5, rng.standard_normal(n) / n, 0.0)
    return A, A @ true + rng.standard_normal(m)


def _lasso(n, rng):
    """Variables x, residuals y = A x - b, bounds t of |x|."""
    A, b = _regression(n, rng)
    m, alpha = b.size, np.max(np.abs(A.T @ b)) / 5
    P = sparse.block_diag([sparse.csc_array((n, n)), sparse.eye(m), sparse.csc_array((n, n))])
    rows = sparse.vstack([
        sparse.hstack([A, -sparse.eye(m), sparse.csc_array((m, n))]),
        sparse.hstack([sparse.eye(n), sparse.csc_array((n, m)), -sparse.eye(n)]),
        sparse.hstack([sparse.eye(n), sparse.csc_array((n, m)), sparse.eye(n)]),
    ])  # fmt: skip
    lower = np.concatenate([b, np.full(n, -np.inf), np.zeros(n)])
    upper = np.concatenate([b, np.zeros(n), np.full(n, np.inf)])
    return _program(f"lasso {n}", P, np.append(np.zeros(n + m), np.full(n, alpha)), rows, lower, upper)


def _support_vectors(n, rng):
    m = 100 * n
    side = np.where(np.arange(m) < m // 2, 1.0, -1.0)
    A = sparse.random_array((m, n), density=0.15, rng=rng, data_sampler=rng.standard_normal).tocsr()
    A.data = A.data / np.sqrt(n) + np.repeat(side, np.diff(A.indptr)) / n
    P = sparse.block_diag([sparse.eye(n), sparse.csc_array((m, m))])
    rows = sparse.hstack([sparse.diags_array(side) @ A, sparse.eye(m)])
    lower = np.append(np.full(n, -np.inf), np.zeros(m))
    return _program(
        f"support vectors {n}", P, np.append(np.zeros(n), np.ones(m)), rows, np.ones(m), np.full(m, np.inf), lower
    )


def _huber(n, rng):
    """Variables x, residuals u within the square part, and what is beyond on either side."""
    A, b = _regression(n, rng)
    m = b.size
    b = np.where(rng.random(m) < 0.05, 10 * rng.random(m), b)
    P = sparse.block_diag([sparse.csc_array((n, n)), 2 * sparse.eye(m), sparse.csc_array((2 * m, 2 * m))])
    rows = sparse.hstack([A, -sparse.eye(m), -sparse.eye(m), sparse.eye(m)])
    lower = np.append(np.full(n + m, -np.inf), np.zeros(2 * m))
    return _program(f"huber {n}", P, np.append(np.zeros(n + m), np.full(2 * m, 2.0)), rows, b, b, lower)
