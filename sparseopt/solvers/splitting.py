"""Splitting: the penalty's map of w gets a copy of its own, and multipliers bring the two together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy import sparse

from sparseopt.constraints import Duals
from sparseopt.inputs import as_number
from sparseopt.kernels.proximal import prox
from sparseopt.losses import LeastSquares, Quadratic, SampleLoss
from sparseopt.penalties import ProximalTerm
from sparseopt.proofs.compositions import composed_bound
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State

# Largest dense matrix that is factorised.
_LARGEST = 5000
# Iterations between two looks at the residuals.
_CHUNK = 20
# The penalty parameter changes where one residual is so many times the other (Boyd et al., 2011).
_IMBALANCE = 5.0
# Images so much smaller than A could make them are zero.
_VANISHING = 1e-10
# Relative residuals this small are rounding and say nothing of rho.
_ROUNDING = 1e-13
# Ridge that makes the matrix regular, relative to its diagonal; it is a proximal term, not a part of the problem.
_RIDGE = 1e-9


@dataclass
class SplittingState(State):
    """State with the unconstrained point x, the copy z of A x, the multipliers u and the factor of H + rho A'A."""

    penalty: object = None
    A: object = None
    H: object = None
    x: np.ndarray | None = None
    z: np.ndarray | None = None
    u: np.ndarray | None = None
    rho: float = 1.0
    ridge: float = 0.0
    #: Frobenius norm of A.
    steepness: float = 0.0
    solve: object = None
    #: Iteration from which the gap is looked at again.
    next_look: int = 0
    #: Iteration from which rho may change again.
    next_change: int = 0


@dataclass(frozen=True, kw_only=True)
class Splitting(Solver):
    """ADMM (Boyd et al., 2011) for loss(w) + penalty(A w): trends, graphs, analysis operators.

    The quadratic model of the loss with its largest curvature takes the loss's place, which is
    the loss itself for least squares (proximal ADMM: He and Yuan, 2012). Its matrix and A'A are
    factorised once for each value of the parameter rho, which keeps both residuals in balance.

    Parameters
    ----------
    relaxation : float in (0, 2), default 1.6
        Over-relaxation; 1.5 to 1.8 is the usual advice (Eckstein and Bertsekas, 1992). At most 1
        is taken where the loss is not quadratic, for it may diverge beyond.
    """

    relaxation: float = 1.6

    def __post_init__(self):
        object.__setattr__(self, "relaxation", as_number(self.relaxation, "relaxation", above=0.0))
        if self.relaxation >= 2.0:
            raise ValueError(f"relaxation must be less than 2, got {self.relaxation:g}.")

    def rejects(self, problem):
        loss = problem.loss
        if problem.constraint is not None:
            return "it takes no constraint beside the penalty"
        if not problem.penalty.is_convex:
            return "it needs a convex penalty"
        if not isinstance(loss, LeastSquares | SampleLoss | Quadratic) or not loss.has_bounded_curvature:
            return "it needs a loss of one response whose curvature is bounded"
        is_dense = isinstance(_curvature_matrix(loss, only_kind=True), np.ndarray)
        if is_dense and loss.n_features > _LARGEST:
            return f"it factorises a dense matrix of {loss.n_features} coefficients, more than {_LARGEST}"
        return None

    def init(self, problem, w):
        penalty, A = problem.penalty.composition(w.size)
        H = _curvature_matrix(problem.loss)
        w = w.astype(np.float64)
        z = A @ w
        size, steepness = float(np.sum(H.diagonal())), float(np.sum(A.multiply(A)))
        state = SplittingState(
            w=w,
            penalty=penalty.private(z.size),
            A=A,
            H=H,
            x=w,
            z=z,
            u=np.zeros_like(z),
            rho=size / steepness if size > 0.0 and steepness > 0.0 else 1.0,
            steepness=np.sqrt(steepness),
            # where the loss sees no coefficient, A'A alone is what is made regular
            ridge=_RIDGE * (size or steepness or 1.0) / w.size,
        )
        state.solve = _factorised(H, A, state.rho, state.ridge)
        return state

    def step(self, problem, state, tol, max_iterations):
        A = state.A
        count = min(_CHUNK, max_iterations)
        is_quadratic = isinstance(problem.loss, LeastSquares | Quadratic)
        relaxation = self.relaxation if is_quadratic else min(self.relaxation, 1.0)
        for _ in range(count):
            slope = np.asarray(problem.loss.gradient(state.x), dtype=np.float64)
            right = state.H @ state.x + state.ridge * state.x - slope + A.T @ (state.rho * state.z - state.u)
            state.x = state.solve(right)
            image = A @ state.x
            relaxed = relaxation * image + (1.0 - relaxation) * state.z
            old, state.z = state.z, np.empty_like(state.z)
            prox(state.penalty, relaxed + state.u / state.rho, 1.0 / state.rho, state.z)
            state.u = state.u + state.rho * (relaxed - state.z)
        state.iterations += count
        # the copy is a point of the problem, and a sparse one, where the map is the identity
        state.w = state.z if isinstance(problem.penalty, ProximalTerm) else state.x
        # where A x vanishes, at a constant, its rounding is no measure
        scale = np.linalg.norm(state.z) + np.linalg.norm(image) + _VANISHING * state.steepness * np.linalg.norm(state.x)
        primal = float(np.linalg.norm(image - state.z) / (scale + 1e-300))
        change = A.T @ (state.rho * (state.z - old))
        dual = float(np.linalg.norm(change)) / (np.linalg.norm(A.T @ state.u) + np.linalg.norm(slope) + 1e-300)
        self._judge(problem, state, tol, max(primal, dual))
        state.residual = float(np.max(np.abs(slope + A.T @ state.u), initial=0.0)) + float(
            np.max(np.abs(change), initial=0.0)
        )
        if state.iterations < state.next_change or max(primal, dual) <= _ROUNDING:
            return state
        if not 1.0 / _IMBALANCE <= primal / max(dual, 1e-300) <= _IMBALANCE:
            state.rho *= float(np.clip(np.sqrt(primal / max(dual, 1e-300)), 0.1, 10.0))
            state.solve = _factorised(state.H, A, state.rho, state.ridge)
            # ever later changes, because the method converges between them only
            state.next_change = 3 * state.iterations // 2
        return state

    def _judge(self, problem, state, tol, residual):
        """CONVERGED by the duality gap where there is one, else by the residuals; terms with a prox are `solve`'s to judge."""
        state.duals = None
        if isinstance(problem.penalty, ProximalTerm):
            return
        state.duals = Duals(state.u, np.zeros(0))
        if residual > 0.03 or state.iterations < state.next_look:
            return
        state.next_look = state.iterations + max(_CHUNK, state.iterations // 4)
        reference = 1e-6 * abs(problem.objective(np.zeros_like(state.w)))

        def is_done(w):
            bound, objective = composed_bound(problem, w, state.u), problem.objective(w)
            return objective - bound <= tol * max(abs(objective), reference) or (bound == -np.inf and residual <= tol)

        if is_done(state.w):
            # what is returned is rounded where the data is float32
            rounded = state.w.astype(problem.dtype).astype(np.float64)
            state.status = Status.CONVERGED if is_done(rounded) else Status.STALLED


def _curvature_matrix(loss, *, only_kind=False):
    """The matrix that bounds the second derivative of the loss; of `only_kind`, its type is what matters."""
    if isinstance(loss, Quadratic):
        return loss.Q.matrix
    X, weights = loss.X.matrix, np.asarray(loss.sample_weight.values, dtype=np.float64)
    if only_kind:
        return X[:0] if isinstance(X, np.ndarray) else np.zeros(0) if loss.intercept else X[:1]
    smoothness = 1.0 if isinstance(loss, LeastSquares) else float(loss.smoothness())
    weights = np.broadcast_to(weights, loss.y.size)
    if sparse.issparse(X) and not loss.intercept:
        return smoothness * (X.T @ sparse.diags_array(weights) @ X).astype(np.float64)
    # the bound with an intercept is that of the centred columns
    X = X.toarray() if sparse.issparse(X) else X
    X = X.astype(np.float64)
    if loss.intercept:
        X = X - weights @ X
    return smoothness * ((X.T * weights) @ X)


def _factorised(H, A, rho, ridge):
    """The function that solves (H + rho A'A + ridge) w = right."""
    matrix = H + rho * (A.T @ A)
    if sparse.issparse(matrix):
        return sparse.linalg.splu(sparse.csc_array(matrix + ridge * sparse.eye_array(H.shape[0]))).solve
    matrix = np.asarray(matrix)
    matrix.flat[:: matrix.shape[0] + 1] += ridge
    factor = scipy.linalg.cho_factor(matrix, overwrite_a=True)
    return lambda right: scipy.linalg.cho_solve(factor, right)
