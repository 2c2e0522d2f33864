"""Adapters to other libraries; each module imports the one that it is named after."""

from sparseopt.pruning.networks import Network, NumpyMLP


def adapt(model) -> Network:
    """Return the model as `prune` sees it."""
    match model:
        case Network():
            return model
        case list() | tuple():
            return NumpyMLP(model)
    if any(base.__module__.partition(".")[0] == "sklearn" for base in type(model).__mro__):
        from sparseopt.adapters.sklearn import adapt as adapt_sklearn

        return adapt_sklearn(model)
    raise TypeError(
        f"{type(model).__name__} is no model that can be pruned; give a NumpyMLP, a list of matrices, "
        "a linear model or MLP of scikit-learn, or a subclass of sparseopt.pruning.Network."
    )
