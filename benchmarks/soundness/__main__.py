"""Random small problems against brute force, with work buffers full of NaN.

Run it by ``python -m benchmarks.soundness [--cases N] [--first SEED] [--seconds LIMIT] [--rules] [--large] [--wide]``. A local search may not be
better than the optimum, nor claim a bound above it; a branch and bound has to close the gap at the optimum, and
its proof to be accepted. Every fault is printed with its seed, which ``--first SEED --cases 1`` draws again.
"""

import argparse
import faulthandler
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import sparseopt as so
from sparseopt.losses import first_look
from sparseopt.solvers import branch_and_bound
from sparseopt.solvers.subsets import gram_models
from sparseopt.solvers.trees import lanes, quadratic_relaxation

from benchmarks.report import markdown, save

sys.path.append(str(Path(__file__).parents[2] / "tests" / "oracles"))
from small_subsets import problem_of, ruled_problem_of

from soundness import judge, refits_of

SOLVERS = {
    "LocalSearch": so.LocalSearch(),
    "BranchAndBound": so.BranchAndBound(keep_proof=True),
    # which goes through supports where that is quicker, and keeps no proof of it
    "BranchAndBound without proof": so.BranchAndBound(),
    "default": None,
}


def treat_as_larger(options):
    """Take little problems the ways of larger ones."""
    if options.large:
        gram_models.LEAST = branch_and_bound.SMALL = quadratic_relaxation.SMALL = 0
    if options.wide:
        gram_models.FEW = first_look.WORTH_A_SKETCH = 0


def main():
    """Draw, solve, judge and print; exit with 1 where there was a fault."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soundness", description="Certificates against brute force."
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--solver", nargs="*", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--rules", action="store_true", help="only problems with groups, rows and hierarchies")
    parser.add_argument("--large", action="store_true", help="treat problems as if they had more than 200 features")
    parser.add_argument("--wide", action="store_true", help="treat problems as if X were too wide for a Gram matrix")
    parser.add_argument("--save", action="store_true", help="write the tables to benchmarks/results")
    parser.add_argument("--threads", type=int, help="also nodes in lanes from the first on, by so many threads")
    options = parser.parse_args()
    if options.threads:
        lanes.BEFORE = lanes.Before(0, 0)
        SOLVERS["BranchAndBound in lanes"] = so.BranchAndBound(keep_proof=True, threads=options.threads)
        options.solver.append("BranchAndBound in lanes")
    treat_as_larger(options)
    faulthandler.enable()
    start = time.perf_counter()
    outcomes, faults, refusals = defaultdict(Counter), [], Counter()
    for seed in range(options.first, options.first + options.cases):
        if time.perf_counter() - start > options.seconds:
            break
        kind, problem = (ruled_problem_of if options.rules else problem_of)(seed)
        found = refits_of(problem)
        if found is None:
            outcomes["brute force", kind]["not exact enough"] += 1
            continue
        for name in options.solver:
            solver = SOLVERS[name] or so.default_solver(problem)
            if name == "default" and type(solver).__name__ in options.solver:
                continue
            verdict = judge(problem, found, solver)
            row = outcomes[name, kind]
            row["cases"] += 1
            if verdict.outcome.startswith("refused"):
                refusals[re.sub(r"\d+", "#", f"{name}: {verdict.outcome}")] += 1
            row[verdict.outcome.split(":")[0]] += 1
            row["best"] += int(verdict.is_best)
            row["faulty"] += int(bool(verdict.faults))
            for fault in verdict.faults:
                faults.append(f"seed {seed} ({kind}), {name}: {fault}")
                print(faults[-1], flush=True)
    columns = [
        "cases",
        *sorted({outcome for row in outcomes.values() for outcome in row} - {"cases", "best", "faulty"}),
        "best",
        "faulty",
    ]
    table = [
        {"solver": solver, "loss": kind} | {column: row[column] for column in columns}
        for (solver, kind), row in sorted(outcomes.items())
    ]
    print(markdown(table))
    for refusal, count in refusals.most_common():
        print(f"{count} {refusal}")
    if options.save:
        name = "groups, rows and hierarchies" if options.rules else "small problems"
        save("soundness_rules" if options.rules else "soundness", {f"{name} against brute force": table})
    print(
        f"{len(faults)} faults in {sum(row['cases'] for row in outcomes.values())} runs, {time.perf_counter() - start:.0f} s"
    )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
