"""Write what was found into the model that was lent, where this was asked for."""


def overwrite(model, new):
    """Give `model` the weights of `new`, a model of the same kind; returns it."""
    base = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if "torch" in base:
        model.load_state_dict(new.state_dict())
    elif "sklearn" in base:
        vars(model).update(vars(new))
    else:
        raise TypeError(f"{type(model).__name__} cannot be changed in place; take the new one, `.model` of the result.")
    return model
