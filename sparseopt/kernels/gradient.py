"""Proximal gradient steps, plain and accelerated.

With v the extrapolated point and t the momentum of FISTA (Beck and Teboulle, 2009):

    w+ = prox_{step g}(v - step f'(v))
    t+ = (1 + sqrt(1 + 4 t**2 step / step+)) / 2
    v+ = w+ + (t - 1) / t+ (w+ - w)

The images X w and X v are carried along: X v+ is the same combination as v+, so an iteration
costs one product with X (of a sparse w) and one with X'. A step is short enough where the
curvature of f along d = w+ - v is at most |d|**2 / step.
"""

import math

from sparseopt._jit import kernel


def bends_too_much(loss, w, v, image_w, image_v, u, step, d, image_d, rounding):
    """Whether f curves more between v and w than the step allows; fills d and its image.

    Where w - v is rounding, so is its image, and nothing can be said of the curvature.
    """
    length, size = 0.0, 0.0
    for j in range(w.size):
        d[j] = w[j] - v[j]
        length += d[j] * d[j]
        size += w[j] * w[j]
    if length <= rounding * size:
        return False
    for i in range(image_d.size):
        image_d[i] = image_w[i] - image_v[i]
    return loss.bend_from(image_v, u, d, image_d) * step > length * (1.0 + 1e-6)


def extrapolate(new, w, v, beta):
    """v = new + beta (new - w) and w = new, in place."""
    for j in range(w.size):
        v[j] = new[j] + beta * (new[j] - w[j])
        w[j] = new[j]


@kernel
def descend_along_gradient(loss, penalty, w, v, new, images, slope, numbers, options, max_iterations, tol):
    """Iterations from (w, v), in place; returns the last residual |w+ - v| / step and their number.

    images = (X w, X v, X new, u, scratch, d). numbers = (step, t) is carried from call to call;
    options = (accelerated, restarts, backtracks, growth of the step, rounding of squares).
    """
    T = w.dtype.type
    image_w, image_v, image_new, u, scratch, d = images
    accelerated, restarts, backtracks, growth, rounding = options
    residual = 0.0
    for iteration in range(max_iterations):
        step, t = numbers[0], numbers[1]
        loss.backward(v, image_v, u, slope)
        while True:
            for j in range(w.size):
                d[j] = v[j] - T(step) * slope[j]
            penalty.prox_into(d, step, new)
            loss.forward(new, image_new)
            if not (backtracks and bends_too_much(loss, new, v, image_new, image_v, u, step, d, scratch, rounding)):
                break
            step *= 0.5
        turn, residual = 0.0, 0.0
        for j in range(w.size):
            residual = max(residual, abs(new[j] - v[j]))
            turn += (v[j] - new[j]) * (new[j] - w[j])
        residual /= step
        t_next = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * t * t * numbers[0] / step)) if accelerated else 1.0
        numbers[0] = step * growth
        if accelerated and restarts and turn > 0.0:
            # the momentum turned against the step (O'Donoghue and Candes, 2015)
            t, t_next = 1.0, 1.0
        beta = T((t - 1.0) / t_next)
        extrapolate(new, w, v, beta)
        extrapolate(image_new, image_w, image_v, beta)
        numbers[1] = t_next
        if residual <= tol:
            return residual, iteration + 1
    return residual, max_iterations
