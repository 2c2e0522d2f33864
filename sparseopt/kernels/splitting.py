"""Operator splitting (ADMM) for a quadratic program, whatever factor solves its linear system."""

from sparseopt._jit import kernel


@kernel
def split(factor, q, low, high, threshold, rho, sigma, relaxation, x, z, u, v, right, target, image, work, count):
    """Run `count` iterations on x, z and u, in place; z is left the prox of v, right to work are space.

    With copies z of (A x, x), the first entries those of the rows, and scaled multipliers u.
    """
    p, m = x.size, z.size - x.size
    for _ in range(count):
        for i in range(m):
            target[i] = z[i] - u[i]
        for j in range(p):
            right[j] = sigma * x[j] - q[j] + rho[m + j] * (z[m + j] - u[m + j])
        factor.solve(right, target, image, work)
        for j in range(p):
            x[j] += relaxation * (right[j] - x[j])
            image[m + j] = right[j]
        for i in range(m + p):
            v[i] = z[i] + relaxation * (image[i] - z[i]) + u[i]
            # the prox of a slope within bounds is the soft threshold, clipped
            soft = v[i] - min(max(v[i], -threshold[i]), threshold[i])
            z[i] = min(max(soft, low[i]), high[i])
            u[i] = v[i] - z[i]
