"""The lasso, Huber's regression and support vectors: our statement of each beside solvers of its quadratic program.

Run it by ``python -m benchmarks.quadratic_programs.native [--features 10 30 100] [--kind lasso] [--solver osqp ...]``.

The data are those of OSQP's generators, 100 samples a feature. All results are judged alike: the relative excess of the
objective, as a function of the coefficients alone, over a lower bound that ours has proven to 1e-10. A solver of programs
runs with the loosest of the tolerances 1e-2, 1e-3 ... 1e-8 with which it comes below the target; ours is asked for the
target. Ours builds its problem from the data within its time; what a program is built in is not counted.
"""

import argparse
import warnings

import numpy as np

from benchmarks.measure import cpu_seconds, race
from benchmarks.quadratic_programs.programs import regressions
from benchmarks.quadratic_programs.solvers import SOLVERS
from benchmarks.quadratic_programs.structure import statement
from benchmarks.report import markdown, save

PEERS = ("osqp", "piqp_sparse", "clarabel", "highs", "daqp")
TOLERANCES = tuple(10.0**-k for k in range(2, 9))
# CPU seconds after which a run is no longer repeated, and larger programs of its kind are left out.
LONG = 10.0
# DAQP works on dense matrices, whose size is the square of that.
LARGEST_DENSE = 3000


def ours(stated, tol):
    """The call of our default solver; it gives x."""
    import sparseopt as so

    return lambda: stated.coefficients(so.solve(stated.problem(), tol=tol))


def peer(name, program, n, excess, target):
    """The call of a solver of programs that reaches the target, and the seconds of its first run; None where none does."""
    for eps in TOLERANCES:
        try:
            call, read = SOLVERS[name](program, eps)
            found = []
            seconds = cpu_seconds(lambda: found.append(call()))  # noqa: B023
            x = read(found[0])[1]
        except Exception:  # noqa: BLE001 (whatever a peer raises is its failure)
            return None, np.inf
        if np.isfinite(x).all() and excess(x[:n]) <= target:
            return call, seconds
        if seconds > LONG:
            return None, seconds
    return None, seconds


def row_of(program, names, target, rounds, late):
    """Seconds of all solvers on one program; of those that were late before there are none."""
    import sparseopt as so

    stated = statement(program)
    n = ours(stated, target)().size  # the first call compiles
    best = stated.lower_bound(so.solve(stated.problem(), tol=1e-10))
    calls = {"ours": ours(stated, target)}

    def excess(x):
        return (stated.objective(x) - best) / best

    kind = program.name.split()[0]
    for name in names:
        if (kind, name) in late or (name == "daqp" and program.q.size > LARGEST_DENSE):
            continue
        call, seconds = peer(name, program, n, excess, target)
        if seconds > LONG:
            late.add((kind, name))
        if call is not None:
            calls[name] = call
    times = race(calls, rounds, budget=LONG)
    seconds = {name: min(found) for name, found in times.items()}
    return {
        "program": program.name,
        "n": program.q.size,
        "m": program.row_lower.size,
        "excess of ours": excess(calls["ours"]()),
        "ours ms": 1e3 * seconds["ours"],
    } | {f"ours / {name}": seconds["ours"] / seconds[name] if name in seconds else None for name in names}


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quadratic_programs.native", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--features", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--kind", default="", help="programs whose name begins so: lasso, huber, support")
    parser.add_argument("--solver", nargs="*", default=list(PEERS), choices=list(SOLVERS))
    parser.add_argument("--target", type=float, default=1e-6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", default="quadratic_programs-native", help="name of the results")
    parser.add_argument("--quick", action="store_true", help="tiny programs, saves nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows, late = [], set()
    for program in regressions((5,) if options.quick else options.features):
        if program.name.startswith(options.kind):
            rows.append(row_of(program, options.solver, options.target, options.rounds, late))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    print(markdown(rows))
    if not options.quick:
        save(options.name, {"native": rows})


if __name__ == "__main__":
    main()
