"""What is found once of a sparse symmetric matrix whose diagonal changes: an order of elimination, and the size of its factor."""

from sparseopt._jit import brief_kernel
from sparseopt.kernels.ldl import tree
from sparseopt.kernels.ordering import ordered
from sparseopt.kernels.patterns import split


@brief_kernel
def analyse(indptr, indices, data, dense, most, space, ends, lists, spare, state, starts, rows, values, parent, counts, tops,
            sizes):  # fmt: skip
    """Go on with an order for up to `most` variables, and once all have one, analyse the factor; returns how many are left.

    The upper triangle in that order goes into `starts`, `rows` and `values`, the parent of each column and the entries of
    each of the factor into `parent` and `counts`, where these begin into `tops`; the number of all and of operations into
    `sizes`.
    """
    left = ordered(indptr, indices, dense, most, space, ends, lists, spare, state)
    if left > 0:
        return left
    n = parent.size
    split(indptr, indices, data, ends[2, :n], 1, starts, rows, values)
    tree(starts, rows, parent, counts, space[0])
    total, work = 0, 0.0
    for k in range(n):
        tops[k] = total
        total += counts[k]
        work += float(counts[k]) * float(counts[k])
    tops[n] = total
    sizes[0], sizes[1] = float(total), work
    return 0
