"""Linear systems on a support that changes a little from one to the next."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack
from scipy.linalg.blas import dtrsm, dtrsv, strsm, strsv

from sparseopt.kernels.gram import gather

# Part of the factored support that may change before a new factorisation is cheaper.
_CHANGED = 0.15
# Smallest part of a diagonal entry that may be left as its pivot, for a factor to be trusted.
_SAFE_PIVOT = {np.float32: 1e-5, np.float64: 1e-8}


class SupportSystem:
    """Solves (G + ridge)_SS d = r for one support S after another from few Cholesky factors.

    The factor belongs to a base support. Coordinates that entered S border the system, those that
    left it are held at zero by multipliers; both meet in a Schur complement of the size of the
    change (Gill et al., 1990).
    """

    def __init__(self, dtype):
        self.factorisations = 0
        self._is_single = dtype == np.float32
        self._factor = None
        self._base = np.empty(0, dtype=np.intp)
        self._changed = np.empty(0, dtype=np.intp)
        self._columns = None
        self._ridge = np.empty(0)
        #: The pivot at which the last factorisation failed, with the factor above it.
        self._fault = None

    def forget(self):
        """The matrix has changed."""
        self._factor, self._base = None, np.empty(0, dtype=np.intp)

    def solve(self, gram, ridge, support, right):
        """The d with (G + ridge)_SS d = right; None where that is not positive definite in this precision.

        `ridge` is the diagonal of a matrix, one entry a coordinate; `gram` may have more rows than those.
        """
        size, known = ridge.size, self._ridge.size
        if size < known or not np.array_equal(ridge[:known], self._ridge):
            self.forget()
        self._ridge, self._fault = ridge, None
        wanted, held = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
        wanted[support] = True
        held[self._base] = True
        changed = np.flatnonzero(wanted != held)
        if self._factor is None or changed.size > _CHANGED * self._base.size + 5:
            if not self._factorise(gram, support):
                return None
            changed, held = np.empty(0, dtype=np.intp), wanted
        full = np.zeros(size)
        full[support] = right
        part = self._forward(full[self._base])
        if changed.size:
            columns = self._border(gram, changed, held)
            is_new = ~held[changed]
            schur = -(columns.T @ columns).astype(np.float64)
            schur[np.ix_(is_new, is_new)] += self._block(gram, changed[is_new])
            target = np.where(is_new, full[changed], 0.0) - columns.T @ part
            try:
                border = np.linalg.solve(schur, target)
            except np.linalg.LinAlgError:
                self.forget()
                return None
            part = part - columns @ border.astype(columns.dtype)
            full[changed[is_new]] = border[is_new]
        full[self._base] = self._backward(part)
        return full[support]

    def _factorise(self, gram, support):
        block = self._block(gram, support)
        diagonal = block.diagonal().copy()
        potrf = lapack.spotrf if self._is_single else lapack.dpotrf
        factor, fault = potrf(block.T, lower=1, overwrite_a=1)
        self.factorisations += 1
        pivots = factor.diagonal() ** 2 / diagonal if fault == 0 else np.zeros(1)
        if fault != 0 or np.any(pivots < _SAFE_PIVOT[gram.dtype.type]):
            self.forget()
            self._fault = factor, int(np.argmin(pivots)) if fault == 0 else fault - 1
            return False
        self._factor, self._base = factor, support
        self._changed = np.empty(0, dtype=np.intp)
        self._columns = np.empty((support.size, 0), dtype=gram.dtype, order="F")
        return True

    def flattest(self):
        """After a failure: the direction, on the support, in which the matrix has the curvature of the failing pivot; or None."""
        if self._fault is None:
            return None
        factor, k = self._fault
        direction = np.zeros(factor.shape[0])
        direction[k] = 1.0
        if k:
            trsv = strsv if self._is_single else dtrsv
            direction[:k] = -trsv(factor[:k, :k], factor[k, :k].copy(), lower=1, trans=1)
        return direction

    def _block(self, gram, support):
        block = np.empty((support.size, support.size), dtype=gram.dtype)
        gather(gram, support, support, block)
        block[np.diag_indices(support.size)] += self._ridge[support]
        return block

    def _border(self, gram, changed, held):
        """Columns of the bordered system, through the factor; those that are known are kept."""
        _, ours, known = np.intersect1d(changed, self._changed, assume_unique=True, return_indices=True)
        is_new = np.ones(changed.size, dtype=bool)
        is_new[ours] = False
        fresh = changed[is_new]
        right = np.zeros((self._base.size, fresh.size), dtype=gram.dtype, order="F")
        enters = ~held[fresh]
        rows = np.empty((np.count_nonzero(enters), self._base.size), dtype=gram.dtype)
        gather(gram, fresh[enters], self._base, rows)
        right[:, enters] = rows.T
        right[np.searchsorted(self._base, fresh[~enters]), np.flatnonzero(~enters)] = 1.0
        columns = np.empty((self._base.size, changed.size), dtype=gram.dtype, order="F")
        columns[:, ours] = self._columns[:, known]
        if fresh.size:
            trsm = strsm if self._is_single else dtrsm
            columns[:, is_new] = trsm(1.0, self._factor, right, lower=1, overwrite_b=1)
        self._changed, self._columns = changed, columns
        return columns

    def _forward(self, right):
        trsv = strsv if self._is_single else dtrsv
        return trsv(self._factor, right.astype(self._factor.dtype), lower=1, overwrite_x=1)

    def _backward(self, right):
        trsv = strsv if self._is_single else dtrsv
        return trsv(self._factor, right, lower=1, trans=1, overwrite_x=1)
