"""Lassos of falling strength on one Gram matrix, to the few digits that a comparison of their predictions needs."""

from sparseopt._jit import brief_kernel

# Of a column of unit variance what is rounding.
_CONSTANT = 1e-9


@brief_kernel
def follow_lassos(gram, cross, strengths, slope, W, epochs, tol):
    """Make `W`, coefficients at each strength, one a row, by coordinate descent, and `slope`, at the last of them.

    A strength ends after so many epochs, or when none of the slopes has moved by more than `tol` times the strength.
    """
    p = cross.size
    for j in range(p):
        slope[j] = cross[j]
    for point in range(strengths.size):
        strength = strengths[point]
        for j in range(p):
            W[point, j] = W[point - 1, j] if point else 0.0
        for _ in range(epochs):
            largest = 0.0
            for j in range(p):
                size = gram[j, j]
                if size <= _CONSTANT:
                    continue
                wanted, old, new = slope[j] + size * W[point, j], W[point, j], 0.0
                if wanted > strength:
                    new = (wanted - strength) / size
                elif wanted < -strength:
                    new = (wanted + strength) / size
                if new != old:
                    W[point, j] = new
                    for i in range(p):
                        slope[i] -= gram[j, i] * (new - old)
                    largest = max(largest, size * abs(new - old))
            if largest < tol * strength:
                break
