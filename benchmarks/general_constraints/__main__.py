"""Evaluations and CPU seconds on problems with nonlinear constraints, beside SciPy's SLSQP and trust-constr.

Run it by ``python -m benchmarks.general_constraints [--example NAME ...] [--sparse] [--quick]``.

Each solver gets the same functions with exact derivatives and is asked for 1e-8: SLSQP by ftol 1e-9 (it tests the change
of the objective, and turns round for ever where rounding hides 1e-12), trust-constr by gtol 1e-8 and xtol 1e-12, ours by tol 1e-8. Measured here, for all alike: calls of the
objective (`f`), of its gradient (`g`), and of the constraints (`c`, for SciPy one count a constraint object, as it calls
them), the violation, and how far the objective is above the best that any of the three found within a violation of 1e-6.
A run counts as right where its violation is at most 1e-6 and its objective within 1e-6 (relative, from 1 on) of the best;
whether it says so is `said`. Constants of ours were chosen with a look at the examples called `seen`, and not at the others.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import sparseopt as so
from scipy import optimize

from benchmarks.general_constraints.sparse import sparse_rows
from benchmarks.measure import race
from benchmarks.report import markdown, save

sys.path.append(str(Path(__file__).parents[2] / "tests" / "oracles"))
from hock_schittkowski import slopes
from more_hock_schittkowski import EXAMPLES

LARGEST_VIOLATION = 1e-6
NEAR = 1e-6


class Counted:
    """The functions of an example, and how often they were called."""

    def __init__(self, example):
        self.example, self.calls = example, {"f": 0, "g": 0, "c": 0}

    def objective(self, x):
        """The objective."""
        self.calls["f"] += 1
        return float(self.example.objective(x))

    def gradient(self, x):
        """Its gradient."""
        self.calls["g"] += 1
        return slopes(self.example.objective, x)[0]

    def rows(self):
        """(values, lower, upper, jacobian) of each constraint."""
        return [
            (self._values(fun), lower, upper, self._jacobian(fun)) for fun, lower, upper in self.example.constraints
        ]

    def _values(self, fun):
        def values(x):
            self.calls["c"] += 1
            return fun(x)

        return values

    def _jacobian(self, fun):
        return lambda x: slopes(fun, x)


def ours(counted):
    """Our default for such a problem."""
    example = counted.example
    loss = so.Smooth(counted.objective, counted.gradient, n_features=example.start.size)
    parts = [so.NonlinearConstraint(*row) for row in counted.rows()]
    solution = so.solve(
        so.Problem(loss, constraint=[*parts, so.Box(example.lower, example.upper)]), w0=example.start, tol=1e-8
    )
    return solution.w, solution.status is so.Status.CONVERGED


def scipys(method, options):
    """One of SciPy's methods."""

    def run(counted):
        example = counted.example
        rows = [optimize.NonlinearConstraint(fun, lower, upper, jac=jac) for fun, lower, upper, jac in counted.rows()]
        bounds = optimize.Bounds(example.lower, example.upper)
        found = optimize.minimize(
            counted.objective,
            example.start,
            jac=counted.gradient,
            method=method,
            bounds=bounds,
            constraints=rows,
            options=options,
        )
        return found.x, bool(found.success)

    return run


SOLVERS = {
    "ours": ours,
    "SLSQP": scipys("SLSQP", {"ftol": 1e-9, "maxiter": 1000}),
    "trust-constr": scipys("trust-constr", {"gtol": 1e-8, "xtol": 1e-12, "maxiter": 3000}),
}


def violation(example, x):
    """Largest excess over a side."""
    worst = max(np.max(example.lower - x, initial=0.0), np.max(x - example.upper, initial=0.0))
    for fun, lower, upper in example.constraints:
        values = fun(x)
        worst = max(worst, np.max(lower - values, initial=0.0), np.max(values - upper, initial=0.0))
    return float(worst) if np.isfinite(worst) else np.inf


def rows_of(example, rounds):
    """One row for each solver."""
    found = {}
    for name, run in SOLVERS.items():
        counted = Counted(example)
        x, said = run(counted)
        found[name] = (x, said, counted.calls, violation(example, x), float(example.objective(x)))
    times = race({name: (lambda run=run: run(Counted(example))) for name, run in SOLVERS.items()}, rounds, budget=3.0)
    feasible = [height for _, _, _, worst, height in found.values() if worst <= LARGEST_VIOLATION]
    best = min(feasible, default=np.nan)
    for name, (_, said, calls, worst, height) in found.items():
        above = (height - best) / max(1.0, abs(best))
        yield {
            "example": example.name,
            "group": "seen" if example.is_seen else "unseen",
            "solver": name,
            "right": bool(worst <= LARGEST_VIOLATION and above <= NEAR),
            "said": said,
            **calls,
            "violation": worst,
            "above": above,
            "published": example.best,
            "CPU ms": 1e3 * min(times[name]),
        }


def summary(rows):
    """Rates, and geometric means of the ratios to SLSQP on what both get right."""
    tables = []
    for group in ("seen", "unseen"):
        for name in SOLVERS:
            own = [row for row in rows if row["solver"] == name and row["group"] == group]
            if not own:
                continue
            tables.append(
                {
                    "group": group,
                    "solver": name,
                    "examples": len(own),
                    "right": sum(row["right"] for row in own),
                    "wrong but said solved": sum(row["said"] and not row["right"] for row in own),
                }
                | {f"{column} / SLSQP": ratio(rows, group, name, column) for column in ("f", "g", "CPU ms")}
            )
    return tables


def ratio(rows, group, name, column):
    """Geometric mean of a column over that of SLSQP."""
    of = {
        solver: {
            row["example"]: row[column]
            for row in rows
            if row["solver"] == solver and row["right"] and row["group"] == group
        }
        for solver in (name, "SLSQP")
    }
    both = of[name].keys() & of["SLSQP"].keys()
    return float(np.exp(np.mean([np.log(of[name][e] / of["SLSQP"][e]) for e in both]))) if both else None


def lost(rows):
    """Examples that we get wrong, or on which SLSQP needs less than half of our calls of the objective."""
    by_name = {(row["example"], row["solver"]): row for row in rows}
    found = []
    for example in dict.fromkeys(row["example"] for row in rows):
        mine, other = by_name[example, "ours"], by_name[example, "SLSQP"]
        if not mine["right"] or (other["right"] and other["f"] * 2 < mine["f"]):
            found.append(
                {
                    "example": example,
                    "group": mine["group"],
                    "ours right": mine["right"],
                    "f ours": mine["f"],
                    "f SLSQP": other["f"],
                }
            )
    return found


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.general_constraints", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--example", nargs="+", default=list(EXAMPLES), choices=list(EXAMPLES))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, which take turns (default 3)")
    parser.add_argument(
        "--sparse", action="store_true", help="the sparse problems, beside their oracles, in place of the examples"
    )
    parser.add_argument("--name", help="name of the results")
    parser.add_argument("--quick", action="store_true", help="three examples and a run each, saves nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # trust-constr warns of rows that are nearly linear
    names = options.example[:3] if options.quick else options.example
    if options.sparse:
        tables = {"sparse": sparse_rows(is_quick=options.quick)}
    else:
        with np.errstate(all="ignore"):  # outside of the domain of a function
            rows = [row for name in names for row in rows_of(EXAMPLES[name], 1 if options.quick else options.rounds)]
        tables = {"summary": summary(rows), "lost": lost(rows), "runs": rows}
    tables = {title: table for title, table in tables.items() if table}
    for title, table in tables.items():
        print(title, markdown(table), sep="\n")
    if not options.quick:
        name = "general_constraints-sparse" if options.sparse else "general_constraints"
        save(options.name or name, tables)


if __name__ == "__main__":
    main()
