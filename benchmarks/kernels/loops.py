"""The loops of coordinate descent and FISTA, written by hand for one loss, one penalty and one storage.

This is what a kernel of terms has to be as fast as: no terms, no methods, the same compiler flags.
Moves and iterations are those of sparseopt.kernels, so that both make the same number of them.
"""

import math

import numpy as np
from numba import njit
from sparseopt._jit import exp

U = np.uint64
by_hand = njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


@by_hand
def least_squares_dense(X, w, u, curvatures, alpha, weight, epochs):
    """Epochs of the lasso on a Fortran-ordered X, in place; u = weight (X w - y)."""
    n, p = X.shape
    T = X.dtype.type
    zero = T(0)
    largest = 0.0
    for _ in range(epochs):
        largest = 0.0
        for j in range(p):
            bend = curvatures[j]
            if bend == 0:
                continue
            old, slope = w[j], zero
            for i in range(n):
                slope += X[i, j] * u[i]
            v, threshold = old - slope / bend, alpha / bend
            new = zero if abs(v) <= threshold else T(v - math.copysign(threshold, v))
            if new != old:
                w[j] = new
                step = (new - old) * weight
                for i in range(n):
                    u[i] += step * X[i, j]
                largest = max(largest, bend * abs(new - old))
    return largest


@by_hand
def least_squares_csc(data, indices, indptr, w, u, curvatures, alpha, weight, epochs):
    """Epochs of the lasso on sparse columns, in place; u = weight (X w - y)."""
    T = data.dtype.type
    zero = T(0)
    largest = 0.0
    for _ in range(epochs):
        largest = 0.0
        for j in range(w.size):
            bend = curvatures[j]
            if bend == 0:
                continue
            old, slope = w[j], zero
            for k in range(U(indptr[j]), U(indptr[j + 1])):
                slope += data[k] * u[U(indices[k])]
            v, threshold = old - slope / bend, alpha / bend
            new = zero if abs(v) <= threshold else T(v - math.copysign(threshold, v))
            if new != old:
                w[j] = new
                step = (new - old) * weight
                for k in range(U(indptr[j]), U(indptr[j + 1])):
                    u[U(indices[k])] += step * data[k]
                largest = max(largest, bend * abs(new - old))
    return largest


@by_hand
def logistic_dense(X, y, w, u, eta, curvatures, alpha, weight, epochs):
    """Epochs of the logistic lasso on a Fortran-ordered X, in place; u = weight * slope at eta = X w."""
    n, p = X.shape
    T = X.dtype.type
    zero, one = T(0), T(1)
    largest = 0.0
    for _ in range(epochs):
        largest = 0.0
        for j in range(p):
            bend = curvatures[j]
            if bend == 0:
                continue
            old, slope = w[j], zero
            for i in range(n):
                slope += X[i, j] * u[i]
            v, threshold = old - slope / bend, alpha / bend
            new = zero if abs(v) <= threshold else T(v - math.copysign(threshold, v))
            if new != old:
                w[j] = new
                step = new - old
                for i in range(n):
                    eta[i] += step * X[i, j]
                    u[i] = -weight * y[i] / (one + exp(y[i] * eta[i]))
                largest = max(largest, bend * abs(new - old))
    return largest


@by_hand
def logistic_csc(data, indices, indptr, y, w, u, eta, curvatures, alpha, weight, epochs):
    """Epochs of the logistic lasso on sparse columns, in place; u = weight * slope at eta = X w."""
    T = data.dtype.type
    zero, one = T(0), T(1)
    largest = 0.0
    for _ in range(epochs):
        largest = 0.0
        for j in range(w.size):
            bend = curvatures[j]
            if bend == 0:
                continue
            old, slope = w[j], zero
            for k in range(U(indptr[j]), U(indptr[j + 1])):
                slope += data[k] * u[U(indices[k])]
            v, threshold = old - slope / bend, alpha / bend
            new = zero if abs(v) <= threshold else T(v - math.copysign(threshold, v))
            if new != old:
                w[j] = new
                step = new - old
                for k in range(U(indptr[j]), U(indptr[j + 1])):
                    i = U(indices[k])
                    eta[i] += step * data[k]
                    u[i] = -weight * y[i] / (one + exp(y[i] * eta[i]))
                largest = max(largest, bend * abs(new - old))
    return largest


@by_hand
def exponential(x, out):
    """out = exp(x) by our polynomial, which vectorises."""
    for i in range(x.size):
        out[i] = exp(x[i])


@by_hand
def exponential_of_libm(x, out):
    """out = exp(x) by the C library's function, one call for each element."""
    for i in range(x.size):
        out[i] = math.exp(x[i])


@by_hand
def fista_dense(  # noqa: PLR0912 (one function: that is the point)
    X, y, alpha, weight, w, v, new, image_w, image_v, image_new, u, slope, start, growth, iterations
):  # fmt: skip
    """Iterations of FISTA with backtracking and restarts for the lasso, in place; returns the last step."""
    n, p = X.shape
    T = X.dtype.type
    zero = T(0)
    step, t = start, 1.0
    for _ in range(iterations):
        before = step
        for i in range(n):
            u[i] = weight * (image_v[i] - y[i])
        for j in range(p):
            total = zero
            for i in range(n):
                total += X[i, j] * u[i]
            slope[j] = total
        while True:
            threshold = T(step * alpha)
            length, bend = 0.0, 0.0
            for j in range(p):
                z = v[j] - T(step) * slope[j]
                new[j] = zero if abs(z) <= threshold else z - T(math.copysign(threshold, z))
                length += (new[j] - v[j]) ** 2
            for i in range(n):
                image_new[i] = 0
            for j in range(p):
                if new[j] != 0:
                    for i in range(n):
                        image_new[i] += new[j] * X[i, j]
            for i in range(n):
                bend += (image_new[i] - image_v[i]) ** 2
            if length == 0.0 or weight * bend * step <= length * (1.0 + 1e-6):
                break
            step *= 0.5
        turn = 0.0
        for j in range(p):
            turn += (v[j] - new[j]) * (new[j] - w[j])
        t_next = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * t * t * before / step))
        step *= growth
        if turn > 0.0:
            t, t_next = 1.0, 1.0
        beta = T((t - 1.0) / t_next)
        for j in range(p):
            v[j] = new[j] + beta * (new[j] - w[j])
            w[j] = new[j]
        for i in range(n):
            image_v[i] = image_new[i] + beta * (image_new[i] - image_w[i])
            image_w[i] = image_new[i]
        t = t_next
    return step
