"""Draws of the coefficients of a linear model whose prior is a horseshoe, one coefficient after another.

The prior of w_j is normal of variance s t l_j with s the variance of the noise; the square roots of l_j and of t are half
Cauchy (Carvalho, Polson and Scott, 2010). With an inverse gamma beside each of l and t, everything that is drawn given the
rest is normal or inverse gamma (Makalic and Schmidt, 2016). An inverse gamma of shape a and scale b is b over a gamma of
shape a: all random numbers come from the caller.
"""

import math

from sparseopt._jit import brief_kernel

# Places in `scales`: variance of the noise, t, and the inverse gamma beside t.
NOISE, GLOBAL, BESIDE = 0, 1, 2
# Bounds of l_j and of t: beyond them a coefficient is free, or zero, to all digits.
_LEAST, _MOST = 1e-10, 1e8


@brief_kernel
def draw_coefficients(gram, cross, square, n, state, scales, normals, exponentials, gammas, draws):
    """Make `draws`, one a row, and move `state` and `scales` with them.

    Of n samples the mean products are `gram`, `cross` and `square`. `state` has w, gram @ w, l and what is beside l, one a
    row; `normals` is shaped as `draws`, `exponentials` has two of these and one number more for each draw at the end of the
    first, and `gammas` two numbers for each draw, of shapes (p + 1) / 2 and (n + p) / 2.
    """
    p = cross.size
    for step in range(draws.shape[0]):
        total = 0.0
        for j in range(p):
            precision = n * gram[j, j] + 1.0 / (state[2, j] * scales[GLOBAL])
            mean = n * (cross[j] - state[1, j] + gram[j, j] * state[0, j]) / precision
            new = mean + normals[step, j] * math.sqrt(scales[NOISE] / precision)
            move = new - state[0, j]
            for i in range(p):
                state[1, i] += gram[j, i] * move
            state[0, j] = draws[step, j] = new
            spread = 1.0 / state[3, j] + new * new / (2.0 * scales[GLOBAL] * scales[NOISE])
            state[2, j] = min(max(spread / exponentials[0, step, j], _LEAST), _MOST)
            state[3, j] = (1.0 + 1.0 / state[2, j]) / exponentials[1, step, j]
            total += new * new / state[2, j]
        scales[GLOBAL] = (1.0 / scales[BESIDE] + total / (2.0 * scales[NOISE])) / gammas[step, 0]
        scales[GLOBAL] = min(max(scales[GLOBAL], _LEAST), _MOST)
        scales[BESIDE] = (1.0 + 1.0 / scales[GLOBAL]) / exponentials[0, step, p]
        misfit = square
        for j in range(p):
            misfit += state[0, j] * (state[1, j] - 2.0 * cross[j])
        # Rounding may leave less than nothing of a perfect fit.
        misfit = max(n * misfit, 1e-12 * n * square)
        scales[NOISE] = 0.5 * (misfit + total / scales[GLOBAL]) / gammas[step, 1]
