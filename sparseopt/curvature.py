"""Curvature of quadratic functions: whether a matrix is positive semidefinite, and what says that it is not."""

import numpy as np
import scipy
from scipy import sparse

from sparseopt.designs.csc import compressed_columns
from sparseopt.losses.base import kept
from sparseopt.losses.quadratic import Quadratic, symmetry_of
from sparseopt.panels import cholesky_in_panels
from sparseopt.parts import at_once

# What `symmetry_of` says of a diagonal matrix.
_DIAGONAL = 2
# Up to this size the factor of a full matrix is made sooner than a sparse one.
_FEW = 250
# Up to this size all eigenvalues of a matrix are worth the name of the smallest.
_LARGEST_SPECTRUM = 1000
# Up to this size the factor of a full matrix is made in one call.
_LARGEST_CALL = 1500
# Directions that are looked at for negative curvature, where all eigenvalues would take too long.
_DIRECTIONS = 100
# Sparse matrices up to this size are made full where their factors would be; what a row of such a matrix has at least.
_LARGEST_FULL, _MANY = 6000, 30
# A part of all entries that no order makes a narrow band of is one in so many.
_DENSE = 5


def least_curvature(loss) -> float:
    """A number clearly below zero that some direction d attains as d'Qd / d'd, or 0.0 where the quadratic is convex.

    From the data of a `Quadratic` alone, and found once for each.
    """
    return kept(loss, "_least_curvature", lambda: _negative_curvature(loss.Q))


def is_settled(loss) -> bool:
    """Whether the curvature of a loss is known, or found in less time than a call may take."""
    if type(loss) is not Quadratic or "_least_curvature" in loss.__dict__:
        return True
    return sparse.issparse(loss.Q.matrix) or loss.n_features <= _LARGEST_CALL


def curvature_in_pieces(loss):
    """`least_curvature` of a `Quadratic`, in pieces."""
    if not is_settled(loss):
        matrix, scale = _double(loss.Q.matrix), np.max(loss.curvatures(), initial=0.0)
        shift = _shift(scale, loss.dtype)
        if (yield from _is_definite_in_pieces(matrix, shift)):
            kept(loss, "_least_curvature", lambda: 0.0)
        else:
            found = yield from _attained_curvature(matrix, shift)
            kept(loss, "_least_curvature", lambda: found)
    return least_curvature(loss)


def _attained_curvature(matrix, shift):
    """A curvature below -shift of an indefinite full matrix, at least half of the least one, in pieces."""
    found = yield from _krylov_curvature(matrix)
    # a direction has it, and none has twice as much; or else all eigenvalues have to say, in one piece
    if found < -shift and (yield from _is_definite_in_pieces(matrix, -2.0 * found)):
        return found
    return float(np.linalg.eigvalsh(matrix)[0])


def _is_definite_in_pieces(matrix, shift):
    """Whether a full matrix with `shift` on its diagonal is positive definite."""
    shifted = np.array(matrix.T, order="C")  # by columns, for panels
    shifted.flat[:: len(shifted) + 1] += shift
    yield
    return (yield from cholesky_in_panels(shifted))


def _krylov_curvature(matrix):
    """The least curvature of a direction of a Krylov space (Lanczos, 1950), in pieces: little more than the least of all."""
    p = len(matrix)
    basis = np.zeros((min(p, _DIRECTIONS) + 1, p))
    basis[0] = np.random.default_rng(0).standard_normal(p)
    basis[0] /= np.linalg.norm(basis[0])
    own, beside = [], []
    for k in range(len(basis) - 1):
        image = matrix @ basis[k]
        yield
        own.append(float(image @ basis[k]))
        size = np.linalg.norm(image)
        for _ in range(2):  # the second time takes off the rounding of the first
            image -= (basis[: k + 1] @ image) @ basis[: k + 1]
        beside.append(float(np.linalg.norm(image)))
        if beside[k] <= 1e-10 * size:
            break
        basis[k + 1] = image / beside[k]
    return float(scipy.linalg.eigvalsh_tridiagonal(own, beside[:-1])[0])


def _shift(scale, dtype):
    """What rounding may have taken from the curvature of a matrix whose diagonal is no larger than `scale`."""
    return max(1e-9, 50 * np.finfo(dtype).eps) * (scale if scale > 0 else 1.0)


def _negative_curvature(Q):
    matrix, is_sparse = Q.matrix, sparse.issparse(Q.matrix)
    kind, diagonal, margins = symmetry_of(Q) if is_sparse else (0, matrix.diagonal(), None)
    if kind == _DIAGONAL:
        return float(np.minimum.reduce(diagonal, initial=0.0))
    shift = _shift(np.maximum.reduce(np.abs(diagonal), initial=0.0), matrix.dtype)
    if is_sparse:
        # no eigenvalue is below the least margin (Gershgorin, 1931)
        if kind and np.minimum.reduce(margins, initial=0.0) >= -shift:
            return 0.0
        matrix = _double(matrix)
        if kind and (coupled := (margins < diagonal).nonzero()[0]).size < diagonal.size // 2:
            # the others are eigenvalues by themselves, and none is negative: that is looked at where losses are made
            matrix = _block(matrix, coupled)
        if matrix.shape[0] > _FEW and not fills_up(matrix):
            return _sparse_curvature(sparse.csc_array(matrix + shift * sparse.eye_array(matrix.shape[0])))
        matrix = matrix.toarray()
    matrix = _double(matrix)
    shifted = np.array(matrix, order="F")
    shifted.flat[:: matrix.shape[0] + 1] += shift
    if scipy.linalg.lapack.dpotrf(shifted, lower=1, overwrite_a=1, clean=0)[1]:
        if matrix.shape[0] > _LARGEST_SPECTRUM:
            return at_once(_attained_curvature(matrix, shift))
        return float(np.linalg.eigvalsh(matrix)[0])
    return 0.0


def _block(matrix, chosen):
    """Rows and columns of a CSC matrix that has no entries between them and the others."""
    place = np.full(matrix.shape[0], -1)
    place[chosen] = np.arange(chosen.size)
    i, j = entries_of(matrix)
    used = (place[j] >= 0).nonzero()[0]
    starts = np.zeros(chosen.size + 1, dtype=np.int64)
    np.cumsum(np.diff(matrix.indptr)[chosen], out=starts[1:])
    return compressed_columns(matrix.data[used], place[i[used]], starts, (chosen.size, chosen.size))


def is_nearly_flat(loss) -> bool:
    """Whether some direction of a `Quadratic` has at most a thousandth part of the largest curvature, or none at all.

    Along it coordinate descent takes thousands of epochs, and there may be no minimum.
    """
    return kept(loss, "_is_nearly_flat", lambda: _has_small_eigenvalue(loss.Q.matrix))


def _has_small_eigenvalue(matrix):
    matrix = matrix.toarray() if sparse.issparse(matrix) else matrix
    spectrum = np.linalg.eigvalsh(_double(matrix))
    return bool(spectrum.size and spectrum[0] <= 1e-3 * spectrum[-1])


def fills_up(matrix):
    """Whether the Cholesky factor of a sparse symmetric matrix may be expected to be nearly full.

    Matrices of many entries a row do so, but for those that have a narrow profile in some order
    (Cuthill and McKee, 1969).
    """
    p, entries = matrix.indptr.size - 1, matrix.indices.size
    if _DENSE * entries > p * p:
        return True
    if p > _LARGEST_FULL or (entries < _MANY * p and 10 * entries <= p * p):
        return False
    order = sparse.csgraph.reverse_cuthill_mckee(sparse.csr_array(matrix), symmetric_mode=True)
    place = np.empty(p, dtype=np.int64)
    place[order] = np.arange(p)
    i, j = entries_of(sparse.csc_array(matrix))
    first = np.arange(p)
    np.minimum.at(first, place[i], place[j])
    return bool(np.sum(np.arange(p) - first) > p * p / 8)


def _sparse_curvature(matrix):
    """The curvature of a sparse matrix along the direction that its first negative pivot gives, or 0.0."""
    lu = factorised(matrix)
    pivots, is_symmetric = lu.U.diagonal(), np.array_equal(lu.perm_r, lu.perm_c)
    if is_symmetric and np.all(pivots > 0):
        return 0.0
    if not is_symmetric or pivots.size <= _LARGEST_SPECTRUM:
        return float(np.linalg.eigvalsh(matrix.toarray())[0])
    # Without row exchanges U = D L', and d with L'd = e_k has d'Qd = D_k.
    k = int(np.argmax(pivots < 0))
    unit = sparse.csr_array(lu.U.T / pivots).T.tocsr()
    d = sparse.linalg.spsolve_triangular(unit, np.eye(1, pivots.size, k)[0], lower=False)
    return float(pivots[k] / (d @ d))


def factorised(matrix, ordering="MMD_AT_PLUS_A"):
    """LU of a symmetric quasi-definite CSC matrix, which needs no pivoting (Vanderbei, 1995)."""
    try:
        return sparse.linalg.splu(
            matrix, permc_spec=ordering, diag_pivot_thresh=0.0, options={"SymmetricMode": True, "Equil": False}
        )
    except RuntimeError:  # rounding made a pivot zero: only row exchanges help
        return sparse.linalg.splu(matrix, permc_spec="COLAMD")


def entries_of(matrix):
    """Row and column of each stored entry of a CSC matrix."""
    return matrix.indices, np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))


def _double(matrix):
    if matrix.dtype == np.float64 and type(matrix) in (np.ndarray, sparse.csc_array):
        return matrix
    if sparse.issparse(matrix):
        return sparse.csc_array(matrix, dtype=np.float64)
    return np.asarray(matrix, dtype=np.float64)
