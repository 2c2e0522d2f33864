"""The first calls of one solver on one problem, in a process that imports no other."""

import json
from importlib import import_module

from benchmarks.lasso.grammar import datasets, instances, objective_on
from benchmarks.measure import cpu_seconds

# Later calls are made until they have taken so many seconds, at most so many of them.
LATER_SECONDS, LATER_CALLS = 2.0, 5


def main(dataset, module, solver, over, tolerance):
    """Print the CPU seconds of each call; the import is on no clock."""
    data = next(candidate for candidate in datasets() if repr(candidate) == dataset).get_data()
    run = next(candidate for candidate in instances(import_module(module).Solver) if repr(candidate) == solver)
    run.set_objective(**objective_on(data, int(over)).get_objective())
    calls = [cpu_seconds(lambda: run.run(float(tolerance))) for _ in range(2)]
    while len(calls) <= LATER_CALLS and sum(calls[1:]) < LATER_SECONDS:
        calls.append(cpu_seconds(lambda: run.run(float(tolerance))))
    print(json.dumps(calls))
