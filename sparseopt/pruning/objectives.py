"""What a pruned network is fitted to: labels, the outputs it had before, or both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import scipy

from sparseopt.pruning.data import as_target_array
from sparseopt.pruning.networks import Link


class Objective(ABC):
    """A loss of the outputs of a network, with the data that it needs, one row for each sample."""

    @abstractmethod
    def value_and_seeds(self, outputs) -> tuple[float, np.ndarray]:
        """Mean loss, and its slope in the outputs, of their shape (samples, outputs) and precision."""

    @abstractmethod
    def quality(self, outputs) -> float:
        """Part of the samples that is right for classes, explained variance (R2) for numbers; 1 is best."""

    @abstractmethod
    def __getitem__(self, rows) -> Objective:
        """The same objective on some of the samples."""


@dataclass(frozen=True, eq=False)
class Labels(Objective):
    """Cross entropy with the labels, or half the squared error where outputs are numbers.

    Parameters
    ----------
    link : Link
        What the outputs mean.
    targets : array
        Class of each sample as a whole number of shape (samples,) for SOFTMAX; for LOGISTIC zeros and ones, for
        IDENTITY numbers, of shape (samples, outputs).
    """

    link: Link
    targets: np.ndarray

    @classmethod
    def of(cls, link, y, classes=None) -> Labels:
        """Labels as a user has them.

        Parameters
        ----------
        link : Link
        y : array of shape (samples,) or (samples, outputs)
            Numbers of classes from 0, or values of `classes`; zeros and ones; or numbers.
        classes : array of shape (outputs,), or (2,) for one logistic output, optional
            Label of each class where these are not 0, 1 ...
        """
        y = as_target_array(y)
        if classes is not None and y.ndim == 1:
            y = _codes(y, np.asarray(classes))
        if y.dtype.kind not in "biuf" or y.size == 0 or not np.isfinite(y).all():
            raise ValueError(f"y holds {y.dtype}; give finite numbers: 0, 1 ... for classes.")
        if link is not Link.SOFTMAX:
            y = y.reshape(len(y), -1).astype(np.float64)
            if link is Link.LOGISTIC and not np.isin(y, (0, 1)).all():
                raise ValueError("y of a logistic output is not 0 or 1; give zeros and ones.")
            return cls(link, y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        codes = y if y.ndim == 1 else np.argmax(y, axis=1)
        if (codes < 0).any() or (codes != np.floor(codes)).any():
            raise ValueError("y is no class for some samples; give whole numbers from 0.")
        return cls(link, codes.astype(np.int64))

    def value_and_seeds(self, outputs):
        """Mean loss on the labels, and its slope."""
        return _loss_and_slope(self.link, outputs, self._wanted(outputs))

    def quality(self, outputs):
        """Accuracy, or R2."""
        if self.link is Link.SOFTMAX:
            self._check(outputs)
            return float(np.mean(np.argmax(outputs, axis=1) == self.targets))
        return _agreement(self.link, outputs, self._wanted(outputs))

    def _wanted(self, outputs):
        self._check(outputs)
        if self.link is not Link.SOFTMAX:
            return self.targets
        wanted = np.zeros(outputs.shape, outputs.dtype)
        wanted[np.arange(len(wanted)), self.targets] = 1
        return wanted

    def _check(self, outputs):
        if len(outputs) != len(self.targets):
            raise ValueError(f"X has {len(outputs)} samples, y {len(self.targets)}; give one target per sample.")
        if self.link is not Link.SOFTMAX and self.targets.shape != outputs.shape:
            raise ValueError(
                f"y has {self.targets.shape[1]} columns, the model {outputs.shape[1]} outputs; they must agree, unless y is "
                "classes, which the network has to know: NumpyMLP or TorchNetwork with link='softmax'."
            )
        if self.link is Link.SOFTMAX and self.targets.max() >= outputs.shape[1]:
            raise ValueError(f"y has a class {self.targets.max()}, the model {outputs.shape[1]} outputs; count from 0.")

    def __getitem__(self, rows) -> Labels:
        return Labels(self.link, self.targets[rows])


@dataclass(frozen=True, eq=False)
class Distillation(Objective):
    """Divergence from what a network said before (Hinton, Vinyals and Dean, 2015).

    The Kullback-Leibler divergence of its probabilities, or half the squared difference where outputs are
    numbers. It needs no labels, and few samples do: their probabilities say more than labels would.

    At a temperature T it is T^2 times the divergence of what both say with all outputs divided by T: a network that is
    sure of nearly all samples then has something to say of each. As T grows it tends to half the squared
    difference of the outputs about their mean, over their number, and of one logistic output to an eighth of its
    square. Of numbers it is the same at all T.

    Parameters
    ----------
    link : Link
    targets : array of shape (samples, outputs)
        Predictions of the teacher, after its link, at that temperature.
    temperature : float, default=1
    """

    link: Link
    targets: np.ndarray
    temperature: float = 1.0

    def __post_init__(self):
        check_temperature(self.temperature)

    @classmethod
    def of(cls, network, X, temperature=1.0) -> Distillation:
        """What the network says on X."""
        return cls.of_outputs(network.link, network.outputs(X), temperature)

    @classmethod
    def of_outputs(cls, link, outputs, temperature=1.0) -> Distillation:
        """What a network has said, given its outputs."""
        check_temperature(temperature)
        # a number of numpy would have its precision in the targets
        temperature = float(temperature)
        return cls(link, _predictions(link, outputs / temperature), temperature)

    def value_and_seeds(self, outputs):
        """Mean divergence, and its slope."""
        T = self.temperature
        value, slope = _loss_and_slope(self.link, outputs / T, self.targets)
        return T**2 * (value - _entropy(self.link, self.targets)), T * slope

    def quality(self, outputs):
        """Part of the decisions that is the teacher's, or R2 of the teacher's outputs."""
        return _agreement(self.link, outputs / self.temperature, self.targets)

    def __getitem__(self, rows) -> Distillation:
        return replace(self, targets=self.targets[rows])


@dataclass(frozen=True, eq=False)
class Mixed(Objective):
    """(1 - weight) times one objective and weight times another; the quality is the first one's."""

    first: Objective
    second: Objective
    weight: float

    def value_and_seeds(self, outputs):
        """Weighted sums."""
        (a, slope_a), (b, slope_b) = (part.value_and_seeds(outputs) for part in (self.first, self.second))
        return (1 - self.weight) * a + self.weight * b, (1 - self.weight) * slope_a + self.weight * slope_b

    def quality(self, outputs):
        """Quality by the first objective."""
        return self.first.quality(outputs)

    def __getitem__(self, rows) -> Mixed:
        return Mixed(self.first[rows], self.second[rows], self.weight)


def check_temperature(temperature):
    """Raise where outputs cannot be divided by it."""
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}; give a positive number.")


def _codes(y, classes):
    order = np.argsort(classes, kind="stable")
    place = np.minimum(np.searchsorted(classes, y, sorter=order), len(classes) - 1)
    codes = order[place]
    strange = classes[codes] != y
    if strange.any():
        raise ValueError(f"y has the label {y[strange][0]!r}, the model knows {classes.tolist()}; drop these samples.")
    return codes


def _predictions(link, outputs):
    match link:
        case Link.SOFTMAX:
            return np.exp(outputs - scipy.special.logsumexp(outputs, axis=1, keepdims=True))
        case Link.LOGISTIC:
            return scipy.special.expit(outputs)
    return outputs


def _loss_and_slope(link, outputs, targets):
    n = len(outputs)
    match link:
        case Link.SOFTMAX:
            log_p = outputs - scipy.special.logsumexp(outputs, axis=1, keepdims=True)
            value, slope = -np.sum(targets * log_p, dtype=np.float64), np.exp(log_p) - targets
        case Link.LOGISTIC:
            value = np.sum(np.logaddexp(0, outputs) - targets * outputs, dtype=np.float64)
            slope = scipy.special.expit(outputs) - targets
        case _:
            slope = outputs - targets
            value = 0.5 * np.sum(np.square(slope, dtype=np.float64))
    return float(value) / n, (slope / n).astype(outputs.dtype, copy=False)


def _entropy(link, targets):
    match link:
        case Link.SOFTMAX:
            return -float(np.sum(scipy.special.xlogy(targets, targets), dtype=np.float64)) / len(targets)
        case Link.LOGISTIC:
            both = scipy.special.xlogy(targets, targets) + scipy.special.xlogy(1 - targets, 1 - targets)
            return -float(np.sum(both, dtype=np.float64)) / len(targets)
    return 0.0


def _agreement(link, outputs, targets):
    match link:
        case Link.SOFTMAX:
            return float(np.mean(np.argmax(outputs, axis=1) == np.argmax(targets, axis=1)))
        case Link.LOGISTIC:
            return float(np.mean((outputs > 0) == (targets > 0.5)))
    outputs, targets = outputs.astype(np.float64), targets.astype(np.float64)
    error, scale = float(np.sum((outputs - targets) ** 2)), float(np.sum((targets - targets.mean(axis=0)) ** 2))
    return 1 - error / scale if scale else (1.0 if error == 0 else -np.inf)
