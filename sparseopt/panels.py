"""Cholesky factorisations of large dense matrices, panel by panel, since limits and Ctrl-C are to come between."""

from sparseopt.kernels.lapack import cholesky_panel

# Operations of a piece, some hundredths of a second, and bounds of the width of a panel: thin ones take longer.
PIECE, _THIN, _WIDE = 3e9, 256, 768


def cholesky_in_panels(matrix):
    """`cholesky`, in pieces; whether the matrix is definite."""
    for first, last in panels(len(matrix)):
        if cholesky_panel(matrix, first, last) != 0:
            return False
        yield
    return True


def panels(n):
    """First and last column of panels of about the same work."""
    width = int(min(max(PIECE / (n * n / 2.0 + 1.0), _THIN), _WIDE))
    return [(first, min(first + width, n)) for first in range(0, n, width)]
