"""Success and time on quadratic programs.

Run it by ``python -m benchmarks.quadratic_programs [--data FOLDER] [--eps 1e-6 ...] [--solver NAME ...]``.

A program counts as solved where the solver says so and its point and multipliers have absolute
residuals (violation, stationarity, duality gap) below eps, computed here for all alike; `relative` is
the same with residuals relative to the data, whatever the solver says. Time is the least of some runs;
the mean is the geometric one with a shift of 1 ms, and what failed counts ten seconds.
"""

import argparse
import json
import resource
import warnings
from pathlib import Path

import numpy as np

from benchmarks.measure import cpu_seconds, in_fork, race
from benchmarks.quadratic_programs.programs import generated, large, residuals, stored
from benchmarks.quadratic_programs.solvers import SOLVERS
from benchmarks.quadratic_programs.structure import is_structured
from benchmarks.report import markdown, save

FAILED = 10.0
# CPU seconds after which a result comes too late.
LIMIT = 60.0
# CPU and other seconds after which a process of its own is ended; the first call is not timed.
HOPELESS, ENDLESS = 3 * LIMIT, 20 * LIMIT
SHIFT = 1e-3
OURS = ("ours_dense", "ours_sparse", "ours_splitting", "ours_structure")
# Programs of a folder, by size: the dense subset of 62 programs, the next 40, or all 137 of Maros and Meszaros.
SETS = {
    "dense": lambda program: program.is_small,
    "medium": lambda program: program.is_medium,
    "all": lambda program: program.q.size > 0,
}
# These see the programs of the dense subset only.
DENSE = ("ours_dense", "ours_default", "piqp_dense", "daqp")


def rows_of(program, names, eps, rounds):
    """One row for each solver that takes the program."""
    calls, readers, slow = {}, {}, {}
    for name in names:
        if (name in DENSE and not program.is_small) or (name == "ours_structure" and not is_structured(program)):
            continue
        try:
            call, read = SOLVERS[name](program, eps)
            results = []
            first = cpu_seconds(lambda call=call, results=results: results.append(call()))
            found = read(results[0])
        except Exception as error:  # noqa: BLE001 (whatever a peer raises is its failure, and is shown)
            yield {"program": program.name, "eps": eps, "solver": name, "solved": False, "said": type(error).__name__}
            continue
        readers[name] = found
        # the first call compiles, and is not timed where that matters
        if first > FAILED:
            slow[name] = [first]
        else:
            calls[name] = call
    times = race(calls, rounds, budget=FAILED) | slow
    for name, (is_solved, x, y, z) in readers.items():
        absolute, relative = residuals(program, x, y, z)
        yield {
            "program": program.name,
            "eps": eps,
            "solver": name,
            "solved": bool(is_solved and max(absolute) < eps and min(times[name]) <= LIMIT),
            "relative": max(relative) < eps,
            "said": "solved" if is_solved else "not solved",
            "n": program.q.size,
            "m": program.row_lower.size,
            "violation": absolute[0],
            "stationarity": absolute[1],
            "gap": absolute[2],
            "CPU s": min(times[name]),
        }


def rows_apart(program, name, eps, rounds):
    """The rows of one solver from a process of its own, which is ended where it takes far too long."""

    def limited():
        resource.setrlimit(resource.RLIMIT_CPU, (int(HOPELESS),) * 2)
        yield from rows_of(program, [name], eps, rounds)

    try:
        return list(in_fork(limited(), ENDLESS))
    except (TimeoutError, EOFError):
        return [{"program": program.name, "eps": eps, "solver": name, "solved": False, "said": "no end"}]


def resumed(programs, file, options):
    """All rows so far: those in the file, and those of up to `options.most` programs more, each added once it is done."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["program"], row["eps"], row["solver"]) for row in rows}
    new = 0
    for _ in rows_of(next(generated()), options.solver, options.eps[0], 1):
        pass  # what is compiled or loaded here, the processes of the programs need not
    for program in programs:
        left = [(name, eps) for eps in options.eps for name in options.solver if (program.name, eps, name) not in done]
        if left and new == options.most:
            break
        new += bool(left)
        for name, eps in left:
            found = rows_apart(program, name, eps, options.rounds)
            with file.open("a") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in found)
            rows += found
        print(program.name, flush=True)
    return rows


def summary(rows):
    """Success and mean times of each solver at each eps, and the ratio to ours on what both solve."""
    found = []
    for eps in dict.fromkeys(row["eps"] for row in rows):
        for name in dict.fromkeys(row["solver"] for row in rows):
            own = [row for row in rows if row["eps"] == eps and row["solver"] == name]
            seconds = np.array([row["CPU s"] if row["solved"] else FAILED for row in own])
            found.append(
                {
                    "eps": eps,
                    "solver": name,
                    "solved %": 100 * np.mean([row["solved"] for row in own]),
                    "relative %": 100 * np.mean([bool(row.get("relative")) for row in own]),
                    "mean ms": 1e3 * float(np.exp(np.log(seconds + SHIFT).mean()) - SHIFT),
                    "median ms": 1e3 * float(np.median(seconds)),
                }
                | {f"{ours} / it": ratio(rows, eps, ours, name) for ours in OURS}
            )
    return found


def ratio(rows, eps, ours, name):
    """Geometric mean of our time over that of a solver, on the programs that both solve."""
    times = [
        {row["program"]: row["CPU s"] for row in rows if row["eps"] == eps and row["solver"] == who and row["solved"]}
        for who in (ours, name)
    ]
    # some clocks tick in milliseconds
    both = [p for p in times[0].keys() & times[1].keys() if times[0][p] and times[1][p]]
    return float(np.exp(np.mean([np.log(times[0][p] / times[1][p]) for p in both]))) if both else None


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quadratic_programs", description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of .mat files in the layout of Maros and Meszaros; generated ones else")
    parser.add_argument("--large", action="store_true", help="generated programs with up to 100,000 variables")
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument(
        "--set", default="dense", choices=list(SETS), help="programs of --data to solve (default dense)"
    )
    parser.add_argument("--eps", type=float, nargs="+", default=[1e-3, 1e-6, 1e-9])
    parser.add_argument("--solver", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, which take turns (default 3)")
    parser.add_argument("--name", default="quadratic_programs", help="name of the results")
    parser.add_argument(
        "--resume", type=Path, help="file to keep rows in, one a line; programs that it has are not run again"
    )
    parser.add_argument("--most", type=int, help="programs to run in this call with --resume (default all)")
    parser.add_argument("--quick", action="store_true", help="tiny programs, saves nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # peers warn of their own failures, which the table shows
    if options.data:
        programs = stored(options.data)
    else:
        programs = large() if options.large else generated(1 if options.quick else 4)
    programs = [program for program in programs if options.only in program.name]
    programs = [program for program in programs if not options.data or SETS[options.set](program)]
    rows = resumed(programs, options.resume, options) if options.resume else []
    for program in programs if not options.resume else ():
        for eps in options.eps:
            rows += rows_of(program, options.solver, eps, 1 if options.quick else options.rounds)
        print(program.name, flush=True)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    rows = [{column: row.get(column) for column in columns} for row in rows]
    found = summary(rows)
    print(markdown(found))
    unsolved = [row for row in rows if row["solver"] in OURS and not row["solved"]]
    if not options.quick:
        tables = {"summary": found} | ({"not solved by us": unsolved} if unsolved else {}) | {"runs": rows}
        save(options.name, tables, unread=("runs",))


if __name__ == "__main__":
    main()
