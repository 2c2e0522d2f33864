"""Loops of the alternating directions of a layer, and of the conjugate gradients after them.

Rows are output neurons; matrices are float32 and have shape (outputs, inputs). One matrix `moved` is the whole
state: what is at least `threshold` in size is the sparse copy of the weights, what is below is the scaled dual.
"""

from sparseopt._jit import kernel

# Sizes are counted in buckets by the first bits of a single precision number, which is 3 % of the size; without the others.
BUCKETS, OTHERS = 1 << 13, 18


@kernel
def reflect(moved, dense, threshold, factor, into):
    """Write into `into` what the next product takes: sparse copy less dual less dense weights.

    `factor` is the last rho over the next one, by which the scaled dual changes with it.
    """
    for r in range(moved.shape[0]):
        for j in range(moved.shape[1]):
            value = moved[r, j]
            sign = value if abs(value) >= threshold else -factor * value
            into[r, j] = sign - dense[r, j]


@kernel
def advance(moved, dense, product, rho, threshold, factor, bits, counts):
    """Move `moved` in place by the product; count the sizes by the first of their bits, a view of `moved`."""
    for b in range(counts.size):
        counts[b] = 0
    for r in range(moved.shape[0]):
        for j in range(moved.shape[1]):
            value = moved[r, j]
            dual = 0.0 * value if abs(value) >= threshold else factor * value
            moved[r, j] = dense[r, j] + rho * product[r, j] + dual
        for j in range(moved.shape[1]):
            counts[(bits[r, j] & 0x7FFFFFFF) >> OTHERS] += 1


@kernel
def cut(counts, kept):
    """Bits of the size that `kept` entries have at least, or nearly as many, from the counts of their first bits."""
    bucket = counts.size - 1
    above = 0
    while bucket > 0 and above + counts[bucket] < kept:
        above += counts[bucket]
        bucket -= 1
    # Sizes are spread evenly over so narrow a bucket.
    part = (kept - above) / max(counts[bucket], 1)
    return ((bucket + 1) << OTHERS) - int(part * (1 << OTHERS))


@kernel
def changes(moved, threshold, kept):
    """Count the entries that are on other sides of the threshold than `kept` says, which is set right in place."""
    count = 0
    for r in range(moved.shape[0]):
        for j in range(moved.shape[1]):
            is_kept = abs(moved[r, j]) >= threshold
            count += is_kept != kept[r, j]
            kept[r, j] = is_kept
    return count


@kernel
def mirror(square):
    """Copy the lower triangle over the upper one, in place."""
    for i in range(square.shape[0]):
        for j in range(i):
            square[j, i] = square[i, j]


@kernel
def conjugate_step(kept, product, inverse_diagonal, found, residual, direction, sizes):
    """One step of conjugate gradients in each row on its support, in place, but for `product` = direction H.

    `sizes` holds the preconditioned square of each residual; returns twice what the step takes off the loss.
    """
    gain = 0.0
    for r in range(found.shape[0]):
        curvature = 0.0
        for j in range(found.shape[1]):
            curvature += direction[r, j] * product[r, j]
        if curvature <= 0.0:
            continue
        step = sizes[r] / curvature
        gain += step * sizes[r]
        size = 0.0
        for j in range(found.shape[1]):
            found[r, j] += step * direction[r, j]
            left = residual[r, j] - step * product[r, j] if kept[r, j] else residual[r, j]
            residual[r, j] = left
            size += left * left * inverse_diagonal[j]
        ratio = size / sizes[r]
        for j in range(found.shape[1]):
            direction[r, j] = residual[r, j] * inverse_diagonal[j] + ratio * direction[r, j]
        sizes[r] = size
    return gain
