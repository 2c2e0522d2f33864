"""Linear models and multilayer perceptrons of scikit-learn: masked, refitted and pruned."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from sparseopt.pruning.networks import Activation, Layer, Network, NumpyMLP, as_data


def adapt(model) -> Network:
    """Return a fitted linear model or MLP as `prune` and `Mask.apply` see it."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    if isinstance(model, (MLPClassifier, MLPRegressor)):
        return PerceptronAdapter(model)
    # A kernel machine's coef_ is computed from its support vectors: it is a property and cannot be replaced.
    if "coef_" in vars(model):
        return LinearAdapter(model)
    raise TypeError(f"{type(model).__name__} has no coef_ of its own; give a linear model or an MLP.")


def apply(mask, model, X=None, y=None, *, sample_weight=None):
    """Return a copy of a model whose masked weights are zero; the model itself is untouched.

    With data, the kept coefficients of a linear regression model are refitted by plain least squares,
    with or without an intercept and sign conditions as the model has them.

    Parameters
    ----------
    mask : Mask
        For a linear model one array of the shape of `coef_`, or (n_features,) if there is one output.
    model : fitted linear model or MLP
    X, y : array-like, optional
        Data for the refit; give both or neither.
    sample_weight : array of shape (n_samples,), optional
    """
    masked = mask.apply(model)
    if X is None and y is None:
        return masked
    if X is None or y is None:
        raise ValueError("a refit needs both X and y; give both or neither.")
    network = adapt(masked)
    if not isinstance(network, LinearAdapter):
        raise TypeError(f"{type(model).__name__} is not linear; use sparseopt.pruning.prune to refit its layers.")
    (kept,) = mask.values()
    return network.refit(kept, X, y, sample_weight)


@dataclass(frozen=True, eq=False)
class PerceptronAdapter(Network):
    """MLPClassifier or MLPRegressor; outputs are those before the last activation."""

    model: Any

    def layers(self) -> tuple[Layer, ...]:
        """Layers named coefs_0, coefs_1 ..."""
        pairs = enumerate(zip(self.model.coefs_, self.model.intercepts_, strict=True))
        return tuple(Layer(f"coefs_{i}", weight, bias) for i, (weight, bias) in pairs)

    def inputs(self, X):
        """Inputs of each layer on X."""
        return self._matrices().inputs(X)

    def sensitivities(self, X) -> list[np.ndarray]:
        """Mean square of the slope of the outputs."""
        return self._matrices().sensitivities(X)

    def _matrices(self):
        return NumpyMLP(self.model.coefs_, self.model.intercepts_, Activation(self.model.activation))

    def replace(self, layers):
        """Return a copy of the model with these layers."""
        model = copy.deepcopy(self.model)
        # Training continues in place: the arrays must be writable and lie as scikit-learn laid them.
        model.coefs_ = [np.array(layer.weight, order="C") for layer in layers]
        model.intercepts_ = [np.array(layer.bias) for layer in layers]
        return model


@dataclass(frozen=True, eq=False)
class LinearAdapter(Network):
    """Any model with a fitted coef_ of shape (n_features,) or (n_outputs, n_features)."""

    model: Any

    def layers(self) -> tuple[Layer, ...]:
        """One layer, named coef_."""
        coef = self.model.coef_
        coef = coef.toarray() if sparse.issparse(coef) else np.asarray(coef)
        weight = np.atleast_2d(coef).T
        bias = np.broadcast_to(self.model.intercept_, weight.shape[1]) if self._has_intercept() else None
        return (Layer("coef_", weight, bias, coef.shape),)

    def _has_intercept(self):
        return self.model.get_params().get("fit_intercept", True)

    def inputs(self, X):
        """X itself."""
        X, (layer,) = as_data(X), self.layers()
        if X.ndim != 2 or X.shape[1] != len(layer.weight):
            raise ValueError(f"X has shape {X.shape}; give one row per sample and {len(layer.weight)} columns.")
        yield X

    def sensitivities(self, X) -> list[np.ndarray]:
        """All outputs count alike."""
        return [np.ones(layer.weight.shape[1]) for layer in self.layers()]

    def replace(self, layers):
        """Return a copy of the model with this layer."""
        (layer,) = layers
        model = copy.deepcopy(self.model)
        model.coef_ = np.array(layer.own(layer.weight), order="C")
        if layer.bias is not None:
            bias = np.array(layer.bias).reshape(np.shape(self.model.intercept_))
            model.intercept_ = bias if bias.ndim else bias[()]
        return model

    def refit(self, kept, X, y, sample_weight):
        """Return a copy of the model with least squares coefficients on the support."""
        from sklearn.base import is_regressor
        from sklearn.linear_model import LinearRegression

        if not is_regressor(self.model):
            raise TypeError(
                f"{type(self.model).__name__} is no regression model and least squares is not its loss; "
                "fit a new one on the kept columns, X[:, kept]."
            )
        least_squares = LinearRegression(
            fit_intercept=self._has_intercept(), positive=self.model.get_params().get("positive", False)
        )
        (layer,) = self.layers()
        kept = np.atleast_2d(kept)
        y = np.asarray(y, dtype=np.float64).reshape(-1, len(kept))
        X = X if sparse.issparse(X) else np.asarray(X)
        weight = np.zeros(layer.weight.shape, layer.weight.dtype)
        bias = np.zeros(len(kept))
        for output, columns in enumerate(map(np.flatnonzero, kept)):
            if columns.size:
                least_squares.fit(X[:, columns], y[:, output], sample_weight)
                weight[columns, output] = least_squares.coef_
                bias[output] = least_squares.intercept_
            elif layer.bias is not None:
                bias[output] = np.average(y[:, output], weights=sample_weight)
        return self.replace([replace(layer, weight=weight, bias=None if layer.bias is None else bias)])
