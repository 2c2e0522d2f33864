"""The first calls of one solver on one problem, in a process that imports no other."""

import json
from importlib import import_module

from benchmarks.grammar import instances
from benchmarks.suite import Suite

# Later calls are made until they have taken so many seconds, at most so many of them.
LATER_SECONDS, LATER_CALLS = 1.0, 5


def main(suite, module, solver, dataset, over, tolerance, quick, folder):
    """Print the CPU seconds of each call; the import is on no clock."""
    suite = Suite(suite)
    candidates = suite.datasets(quick == "1", folder or None)
    data = next(candidate for candidate in candidates if repr(candidate) == dataset).get_data()
    run = next(candidate for candidate in instances(import_module(module).Solver) if repr(candidate) == solver)
    run.set_objective(**suite.objective_on(data, int(over)).get_objective())
    calls = [run.timed_run(float(tolerance)) for _ in range(2)]
    while len(calls) <= LATER_CALLS and sum(calls[1:]) < LATER_SECONDS:
        calls.append(run.timed_run(float(tolerance)))
    print(json.dumps(calls))
