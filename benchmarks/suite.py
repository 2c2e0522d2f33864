"""The race of a suite: every solver tuned to one common measure, then all take turns.

1. Tuning. A solver's own tolerance goes down until its w reaches the target; the objective of the
   suite computes the measure from the data and w. The points on the way are its curve over time.
2. Race. One run of each solver in turn, its warm-up outside the clock, until it has used its budget.
3. First calls. New processes with an empty cache of compiled code, then with a filled one.
"""

import argparse
import signal
import sys
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.contestants import Elsewhere, Host, enlist
from benchmarks.data import folder_datasets
from benchmarks.grammar import instances
from benchmarks.measure import in_fork, in_new_process, race
from benchmarks.report import PACKAGES, RESULTS, commit, kept_rows, markdown, save
from benchmarks.standing import is_peer, score

# Runs that take at most so many times the fastest solver's keep its pace: their solver is tuned for longer,
# and they race. So long a patience, in runs of the fastest solver, is the least that any solver gets.
PACE = 10
# Runs of less than so many seconds are repeated whatever their pace is.
RESOLUTION = 0.01
FIRST = "import sys; from benchmarks.first_call import main; main(*sys.argv[1:])"


@dataclass(frozen=True)
class Suite:
    """The files of one folder, read as benchopt reads them."""

    name: str

    def modules(self, part):
        """Names of the modules of a part of this suite, sorted."""
        files = sorted((Path(__file__).parent / self.name / part).glob("*.py"))
        return [f"benchmarks.{self.name}.{part}.{file.stem}" for file in files]

    @property
    def objective(self):
        """The class that grades."""
        return import_module(f"benchmarks.{self.name}.objective").Objective

    def datasets(self, quick=False, folder=None):
        """All datasets, or small ones that only show that all works; with those of a folder, none but them."""
        if folder is not None:
            return folder_datasets(folder)
        return [data for name in self.modules("datasets") for data in instances(import_module(name).Dataset, quick)]

    def objective_on(self, data, over):
        """The objective on some data at alpha_max / over; or why it cannot grade them, in words."""
        objective = self.objective.get_instance(alpha_max_over=over)
        skipped, reason = objective.skip(**data)
        if skipped:
            return reason
        objective.set_data(**data)
        return objective


def tune(contestant, objective, targets, patience, pace):
    """Points of (tolerance, CPU seconds, grades) until the loosest tolerance that reaches each target is known.

    A solver that has used up its patience goes on, three times as long, only while its runs keep the pace. Before any
    has reached the target its own runs are the fastest.
    """
    points, spent = {}, 0.0
    for target in sorted(targets, reverse=True):
        while (k := next_place(points, objective.measure, target, len(contestant.tolerances))) is not None:
            seconds = contestant.run(contestant.tolerances[k])
            grades = objective.evaluate_result(**contestant.result())
            points[k] = {"tolerance": contestant.tolerances[k], "CPU s": seconds, **grades}
            yield points[k]
            spent += seconds
            patience = patience if np.isfinite(pace) else max(patience, PACE * seconds)
            if spent > 3 * patience or (spent > patience and seconds > pace):
                return


def next_place(points, measure, target, size):
    """The next tolerance to look at: by jumps until the target is reached, then between; None at the end.

    A jump supposes that the measure falls at most with the square of the tolerance.
    """
    reaching = min((k for k, point in points.items() if point[measure] <= target), default=None)
    failing = max((k for k in points if reaching is None or k < reaching), default=-1)
    if reaching is not None:
        return None if reaching == failing + 1 else (failing + reaching) // 2
    if failing < 0:
        return 0
    factor = points[failing][measure] / target
    jump = max(1, int(np.log10(factor))) if np.isfinite(factor) else 2
    return None if failing == size - 1 else min(failing + jump, size - 1)


def enter(contestant, seconds):
    """Warm up; or why it cannot take the problem. Where it can be tried, one that takes longer than this is ended."""
    host = contestant.host
    if isinstance(host, Host) and host.can_try(contestant.name):
        for reason in in_fork((call() for call in [contestant.enter]), seconds):
            if reason:
                return reason
    return contestant.enter()


def curves_of(problem, objective, contestants, targets, patience):
    """The curve of each contestant, loose to tight, and for those that did not end one the reason, in words."""
    curves, reasons, fastest = {}, {}, float("inf")
    for host in dict.fromkeys(contestant.host for contestant in contestants):
        host.hold(problem)
    for contestant in contestants:
        # large problems take longer, for all
        allowed = max(patience, PACE * fastest) if np.isfinite(fastest) else patience
        silence = 2 * allowed + 10
        if isinstance(contestant.host, Elsewhere):
            # it ends by itself what takes too long
            contestant.host.patience = silence
        try:
            if reason := enter(contestant, silence):
                reasons[contestant] = reason
                continue
            curve = tune(contestant, objective, targets, allowed, PACE * fastest)
            points = []
            curves[contestant] = points
            for point in in_fork(curve, silence) if isinstance(contestant.host, Host) else curve:
                points.append(point)  # noqa: PERF402 (those before a failure are kept)
        except Exception as failure:  # noqa: BLE001 (whatever a solver raises is its result, and is shown)
            reasons[contestant] = f"{type(failure).__name__}: {failure}"[:200]
        reached = [point["CPU s"] for point in curves.get(contestant, ()) if point[objective.measure] <= min(targets)]
        if curve := curves.get(contestant):
            nearest = min(point[objective.measure] for point in curve)
            spent = sum(point["CPU s"] for point in curve)
            print(f"  {contestant.name}: {len(curve)} runs in {spent:.3g} s, to {nearest:.1e}", flush=True)
        fastest = min([fastest, *reached])
    ordered = {c: sorted(curve, key=lambda point: -point["tolerance"]) for c, curve in curves.items() if curve}
    return ordered, reasons


def point_at(curve, measure, target):
    """The loosest point of a curve that reaches the target; without one, the nearest."""
    reached = (point for point in curve if point[measure] <= target)
    return next(reached, None) or min(curve, key=lambda point: point[measure])


def compete(label, objective, curves, target, options):
    """Rows of the race to one target on one problem, fastest first."""
    measure, runners, times, rows = objective.measure, {}, {}, []
    chosen = {contestant: point_at(curve, measure, target) for contestant, curve in curves.items()}
    fastest = min((point["CPU s"] for point in chosen.values() if point[measure] <= target), default=0.0)
    for contestant, point in chosen.items():
        rows.append({
            **label, "target": target, "solver": contestant.name, "tolerance": point["tolerance"],
            "reached": point[measure], "objective": point["value"],
            "above the best": None, "support": point["support_size"], "single run s": point["CPU s"],
            "CPU s": None, "fastest s": None, "times the fastest": None, "runs": 0, "commit": commit(),
        })  # fmt: skip
        if point[measure] <= target:
            # one that is far behind has its time from tuning
            times[contestant.name] = [point["CPU s"]]
            if point["CPU s"] <= PACE * max(fastest, RESOLUTION) or not is_peer(rows[-1]):
                runners[contestant.name] = lambda run=contestant.run, tolerance=point["tolerance"]: run(tolerance)
    # a contestant's run is its own clock: it may be another process's
    raced = race(
        runners, options.repeats, budget=options.budget, clock=lambda call, _: call(), losses=(ChildProcessError,)
    )
    times |= {name: seconds for name, seconds in raced.items() if seconds}
    best = min((median(t) for t in times.values()), default=None)
    lowest = min(row["objective"] for row in rows) if rows else None
    for row in rows:
        row["above the best"] = (row["objective"] - lowest) / abs(lowest)
        if t := times.get(row["solver"]):
            row |= {"CPU s": median(t), "fastest s": min(t), "times the fastest": median(t) / best, "runs": len(t)}
    return sorted(rows, key=lambda row: row["CPU s"] or float("inf"))


def first_calls(suite, dataset, over, rows, contestants, options):
    """First calls with an empty and with a filled cache, and later ones, each process on its own."""
    tolerances = {row["solver"]: row["tolerance"] for row in rows if row["runs"]}
    found = []
    for contestant in (c for c in contestants if c.name in tolerances):
        arguments = (
            suite.name, contestant.module, contestant.name, repr(dataset), over, tolerances[contestant.name],
            int(options.quick), options.data or "",
        )  # fmt: skip
        python = contestant.host.python if isinstance(contestant.host, Elsewhere) else sys.executable
        with tempfile.TemporaryDirectory() as caches:
            cold, warm = (in_new_process(FIRST, *arguments, caches=caches, python=python) for _ in range(2))
        found.append({
            "dataset": repr(dataset), "alpha": f"max / {over}", "solver": contestant.name,
            "first, empty cache s": cold[0], "first, filled cache s": warm[0], "later s": median(warm[1:]),
            "commit": commit(),
        })  # fmt: skip
        print(markdown(found).splitlines()[-1], flush=True)
    return found


def options_of(suite, arguments):
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{suite.name}", description=suite.objective.__doc__)
    add = parser.add_argument
    add("--dataset", nargs="*", default=[""], metavar="TEXT", help="datasets whose name contains one of these")
    add("--solver", nargs="*", default=[""], metavar="TEXT", help="solvers whose name contains one of these")
    add("--over", nargs="*", type=int, metavar="N", help="alpha = alpha_max / N, in place of each dataset's own levels")
    add("--target", nargs="*", type=float, metavar="G", help="levels to reach, in place of the suite's own")
    add("--all", action="store_true", help="also our plain variants, and peers that are slower by far")
    add("--data", metavar="FOLDER", help="the .npz and libsvm files of a folder, in place of the suite's datasets")
    add("--name", help="name of the results (default the suite's; with --data that and the folder's)")
    add("--other-python", metavar="PATH", help="interpreter for the peers that cannot be installed beside us")
    add("--repeats", type=int, default=7, help="runs of each solver in the race (default 7)")
    add("--budget", type=float, default=1.5, help="CPU seconds after which a solver races no more (default 1.5)")
    add(
        "--patience",
        type=float,
        default=4.0,
        help="CPU seconds of tuning, at least ten runs of the fastest solver; "
        "three times as long for runs at most 10 times the fastest (default 4)",
    )
    add(
        "--quick", action="store_true", help="tiny data and two runs: shows that all works, and saves nothing by itself"
    )
    add("--no-first-calls", action="store_true", help="without the table of first calls")
    add("--keep", action="store_true", help="keep the saved rows of problems that are not run now")
    add("--out", type=Path, help="directory of the results (default benchmarks/results)")
    options = parser.parse_args(arguments)
    if options.name is None:
        options.name = f"{suite.name}-{Path(options.data).resolve().name}" if options.data else suite.name
    if options.quick:
        options.repeats, options.patience = min(options.repeats, 2), min(options.patience, 1.0)
    return options


def main(name, arguments=None):
    """Measure, print, save and plot; the rows of the races."""
    suite = Suite(name)
    options = options_of(suite, arguments)
    # a time limit of the shell ends a run as Ctrl-C does: what is measured so far is kept
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.simplefilter("ignore")  # of solvers that do not reach their tolerance: the table shows it
    hosts = [Host(), *([Elsewhere(options.other_python, 2 * options.patience + 10)] if options.other_python else [])]
    contestants, missing = enlist(suite.modules("solvers"), hosts)
    for peer, reason in missing:
        print(f"{peer}: {reason}", flush=True)

    def is_chosen(text, wanted):
        return any(part.lower() in text.lower() for part in wanted)

    contestants = [c for c in contestants if is_chosen(c.name, options.solver) and (options.all or not c.is_extra)]
    # ours first: the pace of the others is measured by the fastest so far
    contestants.sort(key=lambda contestant: not contestant.name.startswith("sparseopt"))
    tables = {"races": [], "first calls": [], "curves": [], "not raced": []}
    try:
        for dataset in (d for d in suite.datasets(options.quick, options.data) if is_chosen(repr(d), options.dataset)):
            data = dataset.get_data()
            levels = options.over or dataset.levels
            for over in levels[:1] if options.quick else levels:
                run_problem(suite, (dataset, data, over), contestants, options, tables)
    finally:
        # what is measured so far is kept, whatever ended it
        for host in hosts[1:]:
            # it may have been ended with us
            with suppress(ChildProcessError):
                tables["versions elsewhere"] = [host.versions(PACKAGES)]
            host.close()
        if tables["races"] and (options.out or not options.quick):
            publish(suite, tables, options)
    return tables["races"]


def run_problem(suite, problem, contestants, options, tables):
    """Races of one problem, and first calls where it is the first."""
    dataset, data, over = problem
    label = {"dataset": repr(dataset), "alpha": f"max / {over}"}
    objective = suite.objective_on(data, over)
    if isinstance(objective, str):
        print(f"{dataset}: {objective}", flush=True)
        return
    print(f"{dataset}, alpha_max / {over}", flush=True)
    targets = options.target or objective.targets
    curves, reasons = curves_of(objective.get_objective(), objective, contestants, targets, options.patience)
    for contestant, reason in reasons.items():
        print(f"  {contestant.name}: {reason}", flush=True)
        tables["not raced"].append({**label, "solver": contestant.name, "reason": reason})
    for contestant, curve in curves.items():
        tables["curves"] += [{**label, "solver": contestant.name, **point} for point in curve]
    rows = []
    for target in targets:
        rows = compete(label, objective, curves, target, options)
        if rows:
            print(markdown(rows), flush=True)
        tables["races"] += rows
    if not (options.no_first_calls or tables["first calls"]):
        tables["first calls"] += first_calls(suite, dataset, over, rows, contestants, options)


def publish(suite, tables, options):
    """Write tables and pictures."""
    from benchmarks.plots import plot_curves, plot_times

    out = options.out or RESULTS
    if options.keep:
        tables = {title: kept_rows(options.name, title, rows, out) + rows for title, rows in tables.items()}
    tables = {"score": [score(tables["races"])], **tables}
    print(markdown(tables["score"]), flush=True)
    save(options.name, {title: rows for title, rows in tables.items() if rows}, out, unread=("curves",))
    measure, target = suite.objective.measure, min(row["target"] for row in tables["races"])
    plot_times(tables["races"], target, out / f"{options.name}-times.svg")
    plot_curves(tables["curves"], measure, target, out / f"{options.name}-curves.svg")
