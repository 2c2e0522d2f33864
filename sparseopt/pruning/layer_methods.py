"""Methods for one layer at a time, of any size: a number of weights is given, and they say which and what they become.

What a layer keeps comes from the scores, which compete across layers by `scope`; within the layer each method
chooses anew. All see the layer as one least squares problem with a shared Gram matrix, see `Reconstruction`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import is_whole
from sparseopt.pruning import supports
from sparseopt.pruning.alternating import (
    alternating_directions,
    complement_gradients,
    conjugate_gradients,
    dense_weights,
    own_scale,
    scale_of,
)
from sparseopt.pruning.layer_bounds import LayerBound, bound_within, check_bound_seconds
from sparseopt.pruning.layerwise import LayerwiseL0, best_exchanges
from sparseopt.pruning.methods import Method, check_damping
from sparseopt.pruning.reconstruction import Reconstruction, inverted

# An exact refit is a product of so many vectors for each weight of the layer, conjugate gradients thirty of faster ones.
EXACT = 1.5
# The same for elimination, which finds better supports.
TRIMMED = 3
# First penalty and the part of the support that may change at rest, where elimination trims it.
RHO, REST = 0.38, 0.05
# Steps of conjugate gradients of outputs that are near their best.
SETTLING = 10
# Power of the growth where nothing trims the support.
SLOWER = 0.7
# Multiplications that scoring a network by elimination may take, some ten seconds.
ELIMINATED = 3e10
# Inputs up to which weights are exchanged one by one unless said.
SMALL = 128


@dataclass(frozen=True, kw_only=True)
class LayerMethod(Method):
    """A method that fits a layer to its old outputs, given how many weights it may keep.

    Parameters
    ----------
    damping : float, default=0.01
        Weight of the old weights in the least squares, relative to the mean square of the inputs. Raised by itself
        where it is lost in rounding.
    bound_seconds : float, default=0
        Seconds for each layer in which to bound what any weights could reach with as many in each output;
        `Pruned.certificates` then holds a `LayerBound` for each layer.
    threads : int, optional
        Threads over which outputs are spread; by default OMP_NUM_THREADS, or one per processor. The result does
        not depend on it.
    """

    damping: float = 0.01
    bound_seconds: float = 0.0
    threads: int | None = None

    def __post_init__(self):
        check_damping(self.damping)
        check_bound_seconds(self.bound_seconds)
        if self.threads is not None and not (is_whole(self.threads) and self.threads >= 1):
            raise ValueError(f"threads is {self.threads!r}; give at least 1, or None for one per processor.")

    def scores(self, network, samples):
        """Loss at which each weight goes, the others adjusting, times the sensitivity of its output.

        Eliminated one by one, as by `LayerwiseL0`, where that is a matter of seconds for the whole network;
        otherwise each alone: w^2 over the diagonal of the inverse Gram (Hassibi and Stork, 1992).
        """
        if _can_eliminate(network):
            return LayerwiseL0(damping=self.damping).scores(network, samples)
        found = []
        sensitivities = network.sensitivities(samples.X)
        for layer, inputs, sensitivity in zip(network.layers(), network.inputs(samples.X), sensitivities, strict=True):
            regression = Reconstruction.of(inputs, layer(inputs), layer, self.damping)
            diagonal = inverted(regression.gram).diagonal()
            losses = layer.weight.astype(np.float64) ** 2 / diagonal[:, None] / 2
            found.append(losses * regression.alive[:, None] * sensitivity)
        return found

    def rival_scores(self, network, samples, scores):
        """As of `LayerwiseL0`, where the scores are."""
        return (
            LayerwiseL0(damping=self.damping).rival_scores(network, samples, scores)
            if _can_eliminate(network)
            else None
        )

    def fit(self, layer, kept, inputs, targets):
        """Choose as many weights as `kept` has, and fit them."""
        regression = Reconstruction.of(inputs, targets, layer, self.damping)
        weight, support = self.solve(regression, kept)
        return regression.fitted(layer, weight), support

    def solve(self, regression, kept):
        """Weights and their support, both of shape (inputs, outputs), for a layer given by its moments.

        Parameters
        ----------
        regression : Reconstruction
        kept : array of shape (inputs, outputs)
            A support: the result has as many weights.
        """
        # A slice makes no copy.
        alive = slice(None) if regression.alive.all() else np.flatnonzero(regression.alive)
        # Dead inputs have nothing to offer; where a support needs more than the others, theirs stay zero.
        count = min(int(kept.sum()), kept[alive].size)
        weight, support = np.zeros(kept.shape), np.zeros(kept.shape, bool)
        if count:
            gram = np.ascontiguousarray(regression.gram[alive][:, alive])
            cross = np.ascontiguousarray(regression.cross[alive].T)
            fitted, chosen = self._solve(gram, cross, np.ascontiguousarray(kept[alive].T), count)
            weight[alive], support[alive] = fitted.T, chosen.T
        elif kept.any():
            # Where no input moves one weight stays as it was: no layer is emptied.
            best = np.unravel_index(np.argmax(np.where(kept, np.abs(regression.cross), -1)), kept.shape)
            weight[best], support[best] = regression.cross[best] / regression.gram[best[0], best[0]], True
        return weight, support

    @abstractmethod
    def _solve(self, gram, cross, kept, count):
        """Weights and support of `count` weights; here and inside rows are outputs."""

    def certificate(self, layer, kept, inputs, targets) -> LayerBound | None:
        """Lower bounds of the squared errors, where seconds are given for them."""
        return bound_within(self.bound_seconds, layer, kept, inputs, targets)

    @property
    def _workers(self):
        return self.threads or supports.default_threads()

    def _refit(self, gram, cross, dense, support, start):
        """Least squares weights on the support: exact where supports are small, else conjugate gradients."""
        if supports.cost(support) <= EXACT * support.size * len(gram):
            return supports.refit(gram, cross, support, self._workers)
        by_gradients = complement_gradients if 2 * support.sum() >= support.size else conjugate_gradients
        return by_gradients(gram, cross, dense, support, start)


@dataclass(frozen=True, kw_only=True)
class AlternatingDirections(LayerMethod):
    """The best of these methods: alternating directions find a support a little too large, elimination trims it.

    Outputs compete for the weights of the layer. Supports are found in single precision, one matrix product a
    step. Where supports are small, those of `surplus` more weights are then cut to size by exact elimination, the
    cheapest weight of the layer first, and exchanged.

    Parameters
    ----------
    growth : float, default=1.06
        Factor by which the penalty of the directions grows in a step. Nearer to 1 is slower and better: 1.03 takes
        some twice the steps for an error a few thousandths lower; nearer still the time grows in proportion, and the gain soon ends.
    surplus : float, default=0.2
        Part of the weights that elimination removes; 0 for no elimination.
    exchanges : int, optional
        Most exchanges of one weight for another within each output, at the end, each the best there is. By default
        100 in layers of up to 128 inputs and none in larger ones, where they take longer than all the rest.
    rounds : int, default=0
        Exchanges of the whole layer at once: a tenth of the weights enters by the slope of the loss, and
        elimination removes as many. One takes about as long as the trimming and gains a thousandth or two.

    References
    ----------
    Meng et al., "ALPS: Improved Optimization for Highly Sparse One-Shot Pruning for Large Language Models" (2024).
    """

    growth: float = 1.06
    surplus: float = 0.2
    exchanges: int | None = None
    rounds: int = 0

    def __post_init__(self):
        super().__post_init__()
        if not 1 < self.growth < 3:
            raise ValueError(f"growth is {self.growth}; give a factor above 1, 1.06 by default.")
        if not 0 <= self.surplus < 10:
            raise ValueError(f"surplus is {self.surplus}; give a part of the weights, 0.2 by default.")
        if self.exchanges is not None and self.exchanges < 0:
            raise ValueError(f"exchanges is {self.exchanges}; give the most per output, 0 for none.")
        if self.rounds < 0:
            raise ValueError(f"rounds is {self.rounds}; give how many exchanges of the layer, 0 for none.")

    def _solve(self, gram, cross, kept, count):
        weight, support = self._settled(gram, cross, *self._found(gram, cross, count))
        exchanges = self.exchanges if self.exchanges is not None else 100 * (len(gram) <= SMALL)
        if not exchanges:
            return weight, support
        for row, b in zip(support, cross, strict=True):
            chosen = np.flatnonzero(row)
            if chosen.size:
                row[chosen] = False
                row[best_exchanges(gram, b, chosen, exchanges)] = True
        return supports.refit(gram, cross, support, self._workers), support

    def _found(self, gram, cross, count):
        dense = dense_weights(gram, cross)
        scale = own_scale(gram, count / dense.size)
        more = min(int((1 + self.surplus) * count), dense.size)
        # Elimination is exact and cubic in the supports: for large ones the directions alone are the better bargain.
        if len(cross) * (more / len(cross)) ** 3 / 2 > TRIMMED * dense.size * len(gram):
            moved = alternating_directions(gram, dense, count, scale, growth=self.growth**SLOWER)
            support = largest(np.abs(moved) * scale.astype(np.float32), count)
            return self._refit(gram, cross, dense, support, moved), support
        # Elimination forgives a support that the directions have found in fewer steps.
        moved = alternating_directions(gram, dense, count, scale, growth=self.growth, rho=RHO, rest=REST)
        larger = largest(np.abs(moved) * scale.astype(np.float32), more)
        support = supports.eliminated(gram, cross, larger, count, self._workers)
        weight = supports.refit(gram, cross, support, self._workers)
        for _ in range(self.rounds):
            weight, support = self._exchanged(gram, cross, weight, support)
        return weight, support

    def _settled(self, gram, cross, weight, support):
        """After one step of hard thresholding in the metric of the Gram's diagonal, where that is better.

        A weight costs at most h_ii w_i^2 as it goes and gains at least slope^2 / h_jj as it comes. With a diagonal Gram
        both are exact, and so is the support after this step, whatever the directions have found. Where inputs have more
        in common than each has of its own, both say too little to be worth a product.
        """
        scale = scale_of(gram)
        if np.linalg.norm(gram / scale / scale[:, None]) ** 2 > 2 * len(gram):
            return weight, support
        diagonal = gram.diagonal().astype(np.float32)
        slopes = (cross - weight.astype(np.float32) @ gram.astype(np.float32)).astype(np.float32)
        worth = np.where(support, diagonal * np.square(weight, dtype=np.float32), slopes**2 / diagonal)
        least = worth.min(where=support, initial=np.inf)
        most = worth.max(where=~support, initial=0)
        if least >= most:
            return weight, support
        leaving, entering = np.flatnonzero(support & (worth < most)), np.flatnonzero(~support & (worth > least))
        leaving = leaving[np.argsort(worth.flat[leaving], kind="stable")]
        entering = entering[np.argsort(-worth.flat[entering], kind="stable")]
        pairs = min(leaving.size, entering.size)
        pairs = int(np.sum(worth.flat[leaving[:pairs]] < worth.flat[entering[:pairs]]))
        other = support.copy()
        other.flat[leaving[:pairs]], other.flat[entering[:pairs]] = False, True
        rows = np.unique(np.append(leaving[:pairs], entering[:pairs]) // support.shape[1])
        targets, other, before = cross[rows], other[rows], weight[rows]
        if supports.cost(support) <= EXACT * support.size * len(gram):
            after = supports.refit(gram, targets, other, self._workers)
        else:
            start = np.where(support[rows], before, slopes[rows] / diagonal)
            after = conjugate_gradients(gram, targets, start, other, start, SETTLING, 0.0).astype(np.float64)
        if np.vdot(after, after @ gram - 2 * targets) < np.vdot(before, before @ gram - 2 * targets):
            weight, support = weight.copy(), support.copy()
            weight[rows], support[rows] = after, other
        return weight, support

    def _exchanged(self, gram, cross, weight, support):
        count = int(support.sum())
        slopes = cross - weight.astype(np.float32) @ gram.astype(np.float32)
        slopes[support] = 0
        entering = largest(slopes**2 / gram.diagonal(), min(max(count // 10, 1), support.size - count))
        other = supports.eliminated(gram, cross, support | entering, count, self._workers, part=0.25)
        refitted = supports.refit(gram, cross, other, self._workers)
        # The loss of least squares weights is -w'b / 2, but for a constant.
        return (refitted, other) if np.vdot(refitted, cross) > np.vdot(weight, cross) else (weight, support)


def _can_eliminate(network) -> bool:
    """Whether eliminating all weights one by one is a matter of seconds."""
    shapes = [layer.weight.shape for layer in network.layers()]
    return sum(float(inputs) ** 3 * outputs for inputs, outputs in shapes) <= ELIMINATED


def largest(values, count) -> np.ndarray:
    """Where the `count` largest values are; of equal ones the first."""
    if not count:
        return np.zeros(values.shape, bool)
    least = np.partition(values, values.size - count, axis=None)[values.size - count]
    support = values > least
    ties = np.flatnonzero(values == least)
    support.flat[ties[: count - np.count_nonzero(support)]] = True
    return support
