"""The benchmark's objective, datasets and solvers, read from their files as benchopt reads them."""

import itertools
from importlib import import_module
from pathlib import Path

from benchmarks.lasso.objective import Objective


def modules(folder):
    """Names of the modules of a folder of this benchmark, sorted."""
    files = sorted((Path(__file__).parent / folder).glob("*.py"))
    return [f"{__package__}.{folder}.{file.stem}" for file in files]


def instances(cls):
    """One instance for each combination of the class's parameters."""
    for chosen in itertools.product(*cls.parameters.values()):
        parameters = {}
        for names, values in zip(cls.parameters, chosen, strict=True):
            # "a, b": [(1, 2), (3, 4)] gives two parameters together
            parts = names.split(", ")
            parameters |= dict(zip(parts, values if len(parts) > 1 else (values,), strict=True))
        yield cls.get_instance(**parameters)


def datasets():
    """All datasets."""
    return [dataset for name in modules("datasets") for dataset in instances(import_module(name).Dataset)]


def solvers():
    """All solvers."""
    return [solver for name in modules("solvers") for solver in instances(import_module(name).Solver)]


def objective_on(data, over):
    """The objective on some data, at alpha_max / over."""
    objective = Objective.get_instance(alpha_max_over=over)
    objective.set_data(**data)
    return objective
