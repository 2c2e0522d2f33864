"""Options of `prune`, checked at the door and resolved to what the run works with."""

from __future__ import annotations

import numbers
from collections.abc import Iterable

import numpy as np

from sparseopt.inputs import is_whole
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.data import as_target_array
from sparseopt.pruning.layer_stats import Samples
from sparseopt.pruning.layerwise import LayerwiseL0
from sparseopt.pruning.methods import Method, Score, Scored, StructuredMethod
from sparseopt.pruning.objectives import Labels
from sparseopt.pruning.relay import Relay
from sparseopt.pruning.schedules import Exponential, Schedule
from sparseopt.pruning.scopes import NofM, Scope, alive
from sparseopt.pruning.stopping import Stop
from sparseopt.pruning.training import Training


def as_validation(validation):
    """Validation data as X and y, which may be None."""
    if isinstance(validation, list) and len(validation) == 2 and np.shape(validation[0]) != np.shape(validation[1]):
        raise TypeError("validation is a list of two; give a tuple (X, y), or X alone.")
    if not isinstance(validation, tuple):
        return validation, None
    if len(validation) != 2:
        raise ValueError(f"validation is a tuple of {len(validation)}; give (X, y), or X alone.")
    return validation


def as_clock(time_limit):
    """A clock that starts now."""
    if not isinstance(time_limit, numbers.Real):
        raise TypeError(f"time_limit is {time_limit!r}; give a positive number of seconds.")
    if not time_limit > 0:
        raise ValueError(f"time_limit is {time_limit}; give a positive number of seconds.")
    return Clock(float(time_limit))


def as_seed(random_state):
    """The seed, checked."""
    if not (is_whole(random_state) and random_state >= 0):
        raise ValueError(
            f"random_state is {random_state!r}; give a whole number from 0, which seeds all that is drawn."
        )
    return int(random_state)


def as_method(method, threshold=None):
    """The method; the default, or a score without a refit."""
    if threshold is not None and isinstance(method, Relay):
        raise ValueError(f"{method!r} takes turns by sparsity, and a threshold says none; give sparsity=.")
    if method is None:
        return LayerwiseL0()
    if isinstance(method, Score):
        return Scored(method)
    if isinstance(method, (Method, StructuredMethod)):
        return method
    raise TypeError(f"method is {method!r}; give a Method or a Score, such as LayerwiseL0() or Magnitude().")


def as_budget(sparsity, threshold, scope, pattern, schedule):
    """The level of each step, and what chooses by scores at a level."""
    scope = Scope(scope)
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule is {schedule!r}; give OneShot(), or Linear, Cubic or Exponential with their steps.")
    given = [
        name
        for name, value in (("sparsity", sparsity), ("threshold", threshold), ("pattern", pattern))
        if value is not None
    ]
    if len(given) != 1:
        raise ValueError(f"{' and '.join(given) or 'no budget'} given; give one of sparsity, threshold and pattern.")
    if pattern is not None:
        if not isinstance(pattern, NofM):
            raise TypeError(f"pattern is {pattern!r}; give NofM(2, 4) for two of every four.")
        return schedule.levels(pattern.sparsity), pattern.keep
    if sparsity is not None:
        if not isinstance(sparsity, numbers.Real):
            raise TypeError(f"sparsity is {sparsity!r}; give one number, the part of all weights to be zero.")
        if not 0 <= sparsity < 1:
            raise ValueError(f"sparsity is {sparsity}; give the part of weights to be zero, at least 0 and below 1.")
        return schedule.levels(sparsity), scope.keep
    if not np.isfinite(threshold):
        raise ValueError(f"threshold is {threshold}; give the score below which weights go.")
    if isinstance(schedule, Exponential):
        raise ValueError("an exponential schedule divides a sparsity, not a threshold; give Linear or Cubic.")  # noqa: TRY004, the pair is wrong
    return schedule.levels(threshold), _above


def _above(scores, threshold):
    return alive([score >= threshold for score in scores], scores, exchange=False)


def as_labels(network, X, y):
    """Loss on the labels, checked against the outputs of the network; None without labels."""
    if y is None:
        return None
    y = as_target_array(y)
    if len(y) != len(X):
        raise ValueError(f"X has {len(X)} samples, y {len(y)}; give one target per sample.")
    if reason := network.labels_refused:
        raise ValueError(reason)
    labels = Labels.of(network.link, y, network.classes)
    labels[:1].value_and_seeds(network.outputs(X[:1]))
    return labels


def as_chosen(network, names):
    """Whether each layer is to be pruned."""
    known = [layer.name for layer in network.layers()]
    if names is None:
        return [True] * len(known)
    names = [names] if isinstance(names, str) else list(names)
    strange = [name for name in names if name not in known]
    if not names:
        raise ValueError(
            f"layers is empty; leave it out for all layers of the model, or name some: its layers are {', '.join(known)}."
        )
    if strange:
        raise ValueError(f"the model has no layer {strange[0]!r}; its layers are {', '.join(known)}.")
    return [name in names for name in known]


def as_refit(refit):
    """The refit, checked."""
    if refit is None or refit == "layer" or isinstance(refit, Training):
        return refit
    raise TypeError(f"refit is {refit!r}; give 'layer', or a Training such as Adam().")


def as_stops(stop):
    """The stop rules, as a tuple."""
    if not (stop is None or isinstance(stop, (Stop, Iterable))):
        raise TypeError(f"stop is {stop!r}; give stop rules such as Iterations(10) or QualityLoss(0.01).")
    stops = () if stop is None else (stop,) if isinstance(stop, Stop) else tuple(stop)
    for rule in stops:
        if not isinstance(rule, Stop):
            raise TypeError(f"stop holds {rule!r}; give stop rules such as Iterations(10) or QualityLoss(0.01).")
    return stops


def as_calibration(count, X, labels, seed, clock):
    """The samples that scores and fits of layers look at."""
    if count is None:
        return Samples(X, labels, seed, clock)
    if not (is_whole(count) and count >= 1):
        raise ValueError(f"calibration is {count!r}; give how many samples scores and fits look at, all by default.")
    if count >= len(X):
        return Samples(X, labels, seed, clock)
    # In the order that they had: neighbours may belong together.
    rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:count])
    return Samples(X[rows], None if labels is None else labels[rows], seed, clock)


def checked_outputs(network, X) -> np.ndarray:
    """Outputs of the network on X, all of them numbers."""
    # Whatever overflows is told here, in words.
    with np.errstate(all="ignore"):
        outputs = network.outputs(X)
    strange = ~np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim)))
    if strange.any():
        raise ValueError(
            f"the model's outputs are NaN or infinite on {strange.sum()} of {len(X)} samples, the first of them "
            f"{np.argmax(strange)}; rescale the samples, or give a model that works on them."
        )
    return outputs
