"""A support for each of several responses: no two responses meet in the loss, so that each is searched alone.

With a price each response takes the size that is best for it. With at most k nonzeros in all, the responses share k: of
the least minimum at every size of every response, the best allocation is found by dynamic programming.
"""

from __future__ import annotations

import numpy as np

from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.subset_search import Found, SubsetSearch
from sparseopt.solvers.subsets.subset_state import SubsetState


class SeparateSearch:
    """`SubsetSearch` for one response after another, and the best of all of them together.

    Parameters
    ----------
    gram : GramRows
        Of q responses.
    constants : array of shape (q,)
        The minimum of each response without features.
    reading : SubsetProblem
        In the p q coefficients, without bounds, rules or an L1 norm.
    options : dict
        Of `SubsetSearch`.
    """

    def __init__(self, gram, constants, reading, options):
        self.gram, self.constants, self.reading, self.options = gram, constants, reading, options
        self.moves, self.found = 0, []

    def run(self):
        """A generator that makes one move after another and yields what each has cost."""
        p, k = self.gram.n_features, min(self.reading.k, self.gram.n_features)
        options = dict(self.options)
        if not self.reading.alpha:
            # every size is wanted, and kicks belong to one
            options |= {"down_to": 0, "kicks": 0}
        for pull, constant in zip(self.gram.pull, self.constants, strict=True):
            gram = self.gram
            own = GramRows(
                gram.rows, pull, gram.diagonal, constant, gram.rounding, gram.cost, rank=gram.rank, bottom=gram.bottom
            )
            search = SubsetSearch(SubsetState(own, self.reading.ridge), k, self.reading.alpha, **options)
            before = self.moves
            for cost in search.run():
                self.moves = before + search.moves
                yield cost
            heights = search.walk.heights[: min(k, p) + 1].copy()
            self.found.append((heights, [search.walk.best[size][:size].copy() for size in range(heights.size)]))

    @property
    def best(self):
        """The best supports of the responses that are done, as places among the p q coefficients."""
        q, alpha = self.constants.size, self.reading.alpha
        sizes = [int(np.argmin(heights + alpha * np.arange(heights.size))) for heights, _ in self.found]
        if sum(sizes) > self.reading.k:
            sizes = allocated([heights for heights, _ in self.found], self.reading.k, alpha)
        supports = [
            supports[size] * q + r for r, ((_, supports), size) in enumerate(zip(self.found, sizes, strict=True))
        ]
        height = sum(heights[size] for (heights, _), size in zip(self.found, sizes, strict=True))
        return Found(float(height), np.concatenate([np.empty(0, dtype=np.int64), *supports]))


def allocated(heights, k, alpha):
    """Sizes with the least sum of minima and prices, and no more than k in all."""
    totals, choices = np.zeros(k + 1), []
    for own in heights:
        values = own + alpha * np.arange(own.size)
        best, choice = np.full(k + 1, np.inf), np.zeros(k + 1, dtype=np.intp)
        for size in range(min(own.size, k + 1)):
            trial = totals[: k + 1 - size] + values[size]
            better = trial < best[size:]
            best[size:][better] = trial[better]
            choice[size:][better] = size
        totals = best
        choices.append(choice)
    sizes, left = [], k
    for choice in reversed(choices):
        sizes.append(int(choice[left]))
        left -= sizes[-1]
    return sizes[::-1]
