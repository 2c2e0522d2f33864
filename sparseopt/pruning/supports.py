"""Many output neurons, each on a support of its own of one shared Gram matrix: refit, and which weights go next."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from sparseopt.kernels.outputs import TOGETHER, eliminate_outputs, refit_outputs

# Multiplications of one call of a kernel, which is a hundredth of a second or so.
CHUNK = 3e7


def refit(gram, cross, support, threads=1) -> np.ndarray:
    """Least squares weights of every output on its support, of shape (outputs, inputs) like `cross` and `support`."""
    starts, features = _rows(support)
    values = np.empty(features.size)

    def part(first, last, scratch):
        refit_outputs(gram, cross, starts, features, *scratch(TOGETHER)[:3], values, first, last)

    _spread(part, starts, threads)
    weights = np.zeros(support.shape)
    weights[support] = values
    return weights


def eliminated(gram, cross, support, kept, threads=1, part=0.35) -> np.ndarray:
    """Support of `kept` weights of the layer, from a larger one: the cheapest go first, whatever their output.

    Each weight goes at the loss it makes after the others of its output have adjusted, but for at most a
    `part` of an output's weights.
    """
    starts, features = _rows(support)
    prices = np.empty(features.size)
    steps = int(part * np.diff(starts).max(initial=0)) + 1 + TOGETHER

    def rows(first, last, scratch):
        A, pending, w, diagonal = scratch(steps)
        eliminate_outputs(gram, cross, starts, features, part, A, pending, w, diagonal, prices, first, last)

    _spread(rows, starts, threads)
    found = support.copy()
    flat = np.flatnonzero(support)
    found.ravel()[flat[np.argsort(prices, kind="stable")[: flat.size - kept]]] = False
    return found


def cost(support) -> float:
    """Multiplications that a refit of all outputs takes."""
    return float(np.sum(support.sum(axis=1, dtype=np.float64) ** 3) / 2)


def default_threads() -> int:
    """Number of threads: that of OMP_NUM_THREADS, which BLAS obeys too, or one per processor."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else os.cpu_count() or 1


def _rows(support):
    starts = np.concatenate([[0], np.cumsum(support.sum(axis=1))])
    return starts, np.nonzero(support)[1].astype(np.int64)


def _spread(function, starts, threads):
    """Call the function on chunks of outputs, in threads, each with scratch memory of its own."""
    sizes = np.diff(starts)
    widest = int(sizes.max(initial=0))
    work = np.cumsum(sizes.astype(np.float64) ** 3 / 2)
    bounds = np.unique(np.concatenate([[0], np.searchsorted(work, np.arange(CHUNK, work[-1], CHUNK)), [sizes.size]]))
    chunks = list(pairwise(bounds.tolist()))

    def scratch(steps):
        return np.empty((widest, widest)), np.empty((max(steps, TOGETHER), widest)), np.empty(widest), np.empty(widest)

    def stripe(which):
        memory = {}
        for first, last in chunks[which::threads]:
            function(first, last, lambda steps: memory.setdefault(steps, scratch(steps)))

    if threads == 1:
        stripe(0)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(stripe, range(threads)))
