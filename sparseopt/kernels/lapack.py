"""Dense linear algebra for kernels: BLAS and LAPACK on matrices kept by columns, whose lower triangles count.

A matrix is a C-contiguous array of its columns: A[j, i] is the entry in row i and column j. So one type of array
serves all matrices, thin and empty ones too, and is compiled once. Nothing is checked.
"""

from sparseopt._jit import external

_LEFT, _RIGHT, _LOWER, _PLAIN, _TRANSPOSED = ord("L"), ord("R"), ord("L"), ord("N"), ord("T")

_dgemv = external("cython_blas", "dgemv")
_dgemm = external("cython_blas", "dgemm")
_dtrsv = external("cython_blas", "dtrsv")
_dtrsm = external("cython_blas", "dtrsm")
_dsyrk = external("cython_blas", "dsyrk")
_dpotrf = external("cython_lapack", "dpotrf")
_dpotrs = external("cython_lapack", "dpotrs")
_dsytrf = external("cython_lapack", "dsytrf")
_dsytrs = external("cython_lapack", "dsytrs")


def multiply(alpha, A, x, beta, out, is_transposed):
    """out = alpha A x + beta out, or the same with A', in place."""
    n, m = A.shape
    if m > 0 and n > 0:
        _dgemv(_TRANSPOSED if is_transposed else _PLAIN, m, n, alpha, A, m, x, 1, beta, out, 1)
    else:
        for i in range(out.size):
            out[i] *= beta


def add_gram(A, beta, out, is_transposed):
    """out = A A' + beta out, or the same with A'A, in its lower triangle, in place."""
    n, m = A.shape
    if is_transposed:
        m, n = n, m
    if m > 0:
        _dsyrk(_LOWER, _TRANSPOSED if is_transposed else _PLAIN, m, n, 1.0, A, max(A.shape[1], 1), beta, out, m)


def subtract_product(m, n, k, A, A_stride, B, B_stride, out, out_stride):
    """out -= A B' for m x k and n x k matrices by columns that begin flat arrays, in place."""
    _dgemm(_PLAIN, _TRANSPOSED, m, n, k, -1.0, A, A_stride, B, B_stride, 1.0, out, out_stride)


def cholesky(matrix):
    """The lower factor L of L L' in place of the matrix; 0, or the order of the minor that is not positive."""
    n = len(matrix)
    return _dpotrf(_LOWER, n, matrix, n) if n > 0 else 0


def add_gram_panel(A, first, last, out, is_transposed):
    """Add columns first to last of A A', or of A'A, from the diagonal on, to those of `out`, in place."""
    n, m = A.shape
    size, k, step = (n, m, m) if is_transposed else (m, n, 1)
    if k == 0:
        return
    own, other = (_TRANSPOSED, _PLAIN) if is_transposed else (_PLAIN, _TRANSPOSED)
    flat, place, width = A.reshape(-1), out.reshape(-1)[first * size + first :], last - first
    part = flat[first * step :]
    _dsyrk(_LOWER, own, width, k, 1.0, part, m, 1.0, place, size)
    if last < size:
        _dgemm(own, other, size - last, width, k, 1.0, flat[last * step :], m, part, m, 1.0, place[width:], size)


def cholesky_panel(matrix, first, last):
    """Columns first to last of the factor in place of those of the matrix, after those before; 0, or an order as `cholesky`."""
    n, flat, width = len(matrix), matrix.reshape(-1), last - first
    place = flat[first * n + first :]
    if first > 0:
        _dsyrk(_LOWER, _PLAIN, width, first, -1.0, flat[first:], n, 1.0, place, n)
    if first > 0 and last < n:
        subtract_product(n - last, width, first, flat[last:], n, flat[first:], n, place[width:], n)
    fault = _dpotrf(_LOWER, width, place, n)
    if fault == 0 and last < n:
        _dtrsm(_RIGHT, _LOWER, _TRANSPOSED, _PLAIN, n - last, width, 1.0, place, n, place[width:], n)
    return fault


def solve_cholesky(L, x):
    """Solution of L L' x = x, in place."""
    n = len(L)
    if n > 0:
        _dpotrs(_LOWER, n, 1, L, n, x, n)


def solve_lower(L, x, is_transposed):
    """Solution of L x = x, or of L'x = x, in place."""
    n = len(L)
    if n > 0:
        _dtrsv(_LOWER, _TRANSPOSED if is_transposed else _PLAIN, _PLAIN, n, L, n, x, 1)


def solve_lower_columns(L, B):
    """Solution of L X = B in place of B."""
    k, n = B.shape
    if n > 0 and k > 0:
        _dtrsm(_LEFT, _LOWER, _PLAIN, _PLAIN, n, k, 1.0, L, n, B, n)


def indefinite(matrix, pivots, work):
    """Symmetric factorisation with pivoting in place of the matrix (Bunch and Kaufman, 1977); 0 if none of its blocks is zero."""
    n = len(matrix)
    return _dsytrf(_LOWER, n, matrix, n, pivots, work, work.size) if n > 0 else 0


def solve_indefinite(matrix, pivots, x):
    """Solution by the factors of `indefinite`, in place."""
    n = len(matrix)
    if n > 0:
        _dsytrs(_LOWER, n, 1, matrix, n, pivots, x, n)
