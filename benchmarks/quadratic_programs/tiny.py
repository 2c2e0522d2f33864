"""Random tiny quadratic programs: every answer is checked from the data, and against another method.

Run it by ``python -m benchmarks.quadratic_programs.tiny [--cases N] [--first SEED] [--solver NAME]``. An answer is a
solution whose residuals are within 1e-8, or a ray that proves that there is none; "open" is none of these.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import sparseopt as so

sys.path.append(str(Path(__file__).parents[2] / "tests" / "oracles"))
from small_programs import program_of, verdict

SOLVERS = {"ActiveSet": so.ActiveSet(), "InteriorPoint": so.InteriorPoint()}
TOL = 1e-8


def main():
    """Draw, solve, judge and print; exit with 1 where an answer is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quadratic_programs.tiny", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    options = parser.parse_args()
    tally, wrong = {name: Counter() for name in SOLVERS}, 0
    for seed in range(options.first, options.first + options.cases):
        problem, start = program_of(seed)
        found = {name: so.solve(problem, solver, start, tol=TOL) for name, solver in SOLVERS.items()}
        judged = {name: verdict(problem, solution, TOL) for name, solution in found.items()}
        claims = {verdict for verdict in judged.values() if verdict != "open"}
        objectives = [found[name].certificate.objective for name in found if judged[name] == "solved"]
        differ = max(objectives, default=0.0) - min(objectives, default=0.0)
        is_wrong = "wrong" in claims or len(claims) > 1 or differ > 1e-5 * max(1.0, *map(abs, objectives), 1.0)
        wrong += is_wrong
        for name, answer in judged.items():
            tally[name][answer] += 1
        if is_wrong or "open" in judged.values():
            print(f"seed {seed}: {judged}" + (" WRONG" if is_wrong else ""), flush=True)
    for name, counts in tally.items():
        print(name, dict(counts))
    print(f"{wrong} wrong of {options.cases}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
