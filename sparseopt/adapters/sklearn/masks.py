"""Linear models and multilayer perceptrons of scikit-learn: masked, refitted and pruned."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from sparseopt.mask import Hold
from sparseopt.pruning.data import as_data, check_names
from sparseopt.pruning.networks import Layer, Link, Network, NumpyMLP, dense_chain, identity


def adapt(model) -> Network:
    """Return a fitted linear model or MLP as `prune` and `Mask.apply` see it."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    if isinstance(model, (MLPClassifier, MLPRegressor)):
        return PerceptronAdapter.of(model)
    # A kernel machine's coef_ is computed from its support vectors: it is a property and cannot be replaced.
    if "coef_" in vars(model):
        return LinearAdapter.of(model)
    advice = ""
    if hasattr(model, "steps"):
        advice = "; of a pipeline p, give p[-1] and p[:-1].transform(X)"
    elif hasattr(model, "best_estimator_"):
        advice = "; of a search, give its best_estimator_"
    raise TypeError(f"{type(model).__name__} has no coef_ of its own; give a linear model or an MLP{advice}.")


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

    original: Any
    matrices: NumpyMLP

    @classmethod
    def of(cls, model) -> PerceptronAdapter:
        """Return a fitted MLP as a network."""
        if model.out_activation_ not in {link.value for link in Link}:
            raise TypeError(
                f"{type(model).__name__} with loss {model.loss!r} puts out {model.out_activation_!r} of its last layer, "
                "which is not supported; give one of squared errors or a classifier."
            )
        # scikit-learn calls the link of an MLP out_activation_, by the names of ours.
        return cls(model, NumpyMLP(model.coefs_, model.intercepts_, model.activation, model.out_activation_))

    @property
    def link(self) -> Link:
        """Softmax or logistic for classes, identity for numbers."""
        return self.matrices.link

    @property
    def classes(self):
        """Labels of a classifier."""
        return getattr(self.original, "classes_", None)

    @property
    def feature_names(self):
        """Names of the columns that the model was fitted on."""
        return getattr(self.original, "feature_names_in_", None)

    def layers(self) -> tuple[Layer, ...]:
        """Layers named coefs_0, coefs_1 ..."""
        return tuple(replace(layer, name=f"coefs_{i}") for i, layer in enumerate(self.matrices.layers()))

    def inputs(self, X):
        """Inputs of each layer on X."""
        return self.matrices.inputs(X)

    def outputs(self, X) -> np.ndarray:
        """Outputs before the last activation."""
        return self.matrices.outputs(X)

    def slopes(self, X, seeds) -> list[np.ndarray]:
        """Slopes at the outputs of each layer."""
        return self.matrices.slopes(X, seeds)

    def chain(self):
        """The activation between the layers."""
        return self.matrices.chain()

    def native(self):
        """The products and activations, without scikit-learn's checks either."""
        return dense_chain(self)

    def with_layers(self, layers) -> PerceptronAdapter:
        """Return a network with these layers."""
        return PerceptronAdapter(self.original, self.matrices.with_layers(layers))

    def model(self):
        """Return a copy of the model with these layers."""
        model = copy.deepcopy(self.original)
        # Training continues in place: the arrays must be writable and lie as scikit-learn laid them.
        model.coefs_ = [np.array(layer.weight, order="C") for layer in self.layers()]
        model.intercepts_ = [np.array(layer.bias) for layer in self.layers()]
        sizes = [bias.size for bias in model.intercepts_]
        if sizes != [bias.size for bias in self.original.intercepts_]:
            model.hidden_layer_sizes = tuple(sizes[:-1])
            # The momentum belongs to neurons that are gone; training makes a new one.
            vars(model).pop("_optimizer", None)
        return model


@dataclass(frozen=True, eq=False)
class LinearAdapter(Network):
    """Any model with a fitted coef_ of shape (n_features,) or (n_outputs, n_features)."""

    original: Any
    layer: Layer

    @classmethod
    def of(cls, model) -> LinearAdapter:
        """Return a fitted linear model as a network of one layer, named coef_."""
        from sklearn.cross_decomposition import CCA, PLSCanonical, PLSRegression

        kind = type(model).__name__
        if isinstance(model, CCA | PLSCanonical | PLSRegression):
            raise TypeError(
                f"{kind} takes the means out of X before its coef_; give a LinearRegression fitted to its predictions."
            )
        coef = model.coef_
        coef = coef.toarray() if sparse.issparse(coef) else np.asarray(coef)
        weight = np.atleast_2d(coef).T
        has_intercept = model.get_params().get("fit_intercept", True)
        if has_intercept and not hasattr(model, "intercept_"):
            raise TypeError(f"{kind} has a coef_ and no intercept_; give a linear model or an MLP.")
        bias = np.broadcast_to(model.intercept_, weight.shape[1]) if has_intercept else None
        return cls(model, Layer("coef_", weight, bias, coef.shape, own_units=True))

    @property
    def link(self) -> Link:
        """Softmax for several classes, logistic for two, identity for numbers."""
        from sklearn.base import is_classifier

        if not is_classifier(self.original):
            return Link.IDENTITY
        return Link.LOGISTIC if self.layer.weight.shape[1] == 1 else Link.SOFTMAX

    @property
    def classes(self):
        """Labels of a classifier."""
        return getattr(self.original, "classes_", None)

    @property
    def feature_names(self):
        """Names of the columns that the model was fitted on."""
        return getattr(self.original, "feature_names_in_", None)

    @property
    def labels_refused(self):
        """A reason where the model predicts a function of the linear map, as with a logarithmic link."""
        from sklearn.base import is_regressor

        if not is_regressor(self.original):
            return None
        point = np.zeros((1, len(self.layer.weight)), self.layer.weight.dtype)
        # Without names of features, of which scikit-learn would warn: filters of warnings are those of all threads.
        nameless = copy.copy(self.original)
        vars(nameless).pop("feature_names_in_", None)
        predicted = np.ravel(nameless.predict(point))
        if np.allclose(predicted, np.ravel(self.outputs(point)), rtol=1e-3, atol=1e-6):
            return None
        return (
            f"{type(self.original).__name__} predicts no linear map of X, so that y says nothing of what is pruned; "
            "leave y out, and of validation give X alone: what the model does is kept without."
        )

    def layers(self) -> tuple[Layer, ...]:
        """One layer, named coef_."""
        return (self.layer,)

    def inputs(self, X):
        """X itself."""
        X, inputs = as_data(X), len(self.layer.weight)
        if X.ndim != 2 or X.shape[1] != inputs:
            raise ValueError(f"X has shape {X.shape}; give one row per sample and {inputs} columns.")
        yield X

    def outputs(self, X) -> np.ndarray:
        """Outputs of the linear map."""
        (X,) = self.inputs(X)
        return self.layer(X)

    def slopes(self, X, seeds) -> list[np.ndarray]:
        """The seeds themselves: the only layer is the last."""
        return [seeds]

    def chain(self):
        """Nothing before the layer and nothing after."""
        return identity, identity

    def native(self):
        """The product."""
        return dense_chain(self)

    def with_layers(self, layers) -> LinearAdapter:
        """Return a network with this layer."""
        (layer,) = layers
        return replace(self, layer=layer)

    def model(self):
        """Return a copy of the model with this layer."""
        model, layer = copy.deepcopy(self.original), self.layer
        model.coef_ = np.array(layer.own(layer.weight), order="C")
        if layer.bias is not None:
            bias = np.array(layer.bias).reshape(np.shape(self.original.intercept_))
            model.intercept_ = bias if bias.ndim else bias[()]
        return model

    def refit(self, kept, X, y, sample_weight):
        """Return a copy of the model with least squares coefficients on the support."""
        from sklearn.base import is_regressor
        from sklearn.linear_model import LinearRegression

        if not is_regressor(self.original):
            raise TypeError(
                f"{type(self.original).__name__} is no regression model and least squares is not its loss; "
                "fit a new one on the kept columns, X[:, kept]."
            )
        least_squares = LinearRegression(
            fit_intercept=self.layer.bias is not None, positive=self.original.get_params().get("positive", False)
        )
        layer = self.layer
        check_names(X, self.feature_names)
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


def hold(mask, model) -> Hold:
    """Keep what a mask drops at zero while an MLP trains; see `Mask.hold`."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(model, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            f"{type(model).__name__} is not trained step by step in Python; hold an MLPClassifier or MLPRegressor, "
            "or fit on the kept columns, X[:, kept]."
        )
    check_is_fitted(model)
    masked = mask.apply(dict(zip(_names(model), model.coefs_, strict=True)))
    if len(masked) != len(model.coefs_):
        raise ValueError(f"the mask knows {', '.join(set(mask) - set(masked))}, the model does not.")
    if not all(coef.flags.writeable for coef in model.coefs_):
        raise ValueError(
            f"the weights of the {type(model).__name__} are read-only, as of a file that joblib maps; load it without mmap_mode."
        )
    for coef, weight in zip(model.coefs_, masked.values(), strict=True):
        coef[:] = weight
    held = Held(model, {i: ~mask[name] for i, name in enumerate(_names(model)) if name in mask})
    held.clear_momentum()
    vars(model).update(_backprop=held.slopes, _initialize=held.initialize)
    return Hold((held.release,))


def _names(model):
    return [f"coefs_{i}" for i in range(len(model.coefs_))]


@dataclass(frozen=True, eq=False)
class Held:
    """What takes the place of two steps of an MLP's training while a mask is held.

    All solvers of scikit-learn take their slopes from `_backprop`. With a weight of zero, a slope of zero in every
    step and no momentum to begin with, gradient descent, Adam and L-BFGS leave the weight at zero.
    """

    model: Any
    dropped: dict[int, np.ndarray]

    def slopes(self, *arguments):
        """Slopes of the loss, zero at the dropped weights."""
        loss, coef_grads, intercept_grads = type(self.model)._backprop(self.model, *arguments)  # noqa: SLF001, see above
        for i, dropped in self.dropped.items():
            coef_grads[i][dropped] = 0
        return loss, coef_grads, intercept_grads

    def initialize(self, *arguments):
        """Weights to begin a new fit with, zero where dropped."""
        type(self.model)._initialize(self.model, *arguments)  # noqa: SLF001, see above
        for i, dropped in self.dropped.items():
            self.model.coefs_[i][dropped] = 0

    def clear_momentum(self):
        """Forget what the optimizer of an earlier fit would do to the dropped weights."""
        optimizer = getattr(self.model, "_optimizer", None)
        for name in ("velocities", "ms", "vs"):
            for i, dropped in self.dropped.items():
                if hasattr(optimizer, name):
                    getattr(optimizer, name)[i][dropped] = 0

    def release(self):
        """Give the model its own methods back."""
        for name in ("_backprop", "_initialize"):
            vars(self.model).pop(name, None)
