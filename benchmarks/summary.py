"""The README's table: on each problem of each suite, ours, the best peer, and how they compare, the losses too.

python -m benchmarks.summary [--write]
"""

import argparse
import json

from benchmarks.measure import ROOT
from benchmarks.report import RESULTS, markdown
from benchmarks.standing import compared, problems, score

#: Results with races, by the name of their files; what else is saved there follows.
FIRST = ("lasso", "lasso_path", "logreg_l1", "group_lasso", "mcp", "glm_path")
BEGIN, END = "<!-- races: written by python -m benchmarks.summary -->\n", "<!-- end of races -->"


def races():
    """The saved rows of each suite and of each race that has a name of its own."""
    saved = {file.stem: json.loads(file.read_text())["tables"].get("races") for file in sorted(RESULTS.glob("*.json"))}
    names = [*(name for name in FIRST if name in saved), *(name for name in saved if name not in FIRST)]
    return {name: saved[name] for name in names if saved[name]}


def main():
    """Print the tables, or put them between the two marks of the README."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description="The README's table of races.")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    options = parser.parse_args()
    found = races()
    if not found:
        raise SystemExit(
            "benchmarks/results holds no races yet; run a suite first, for example python -m benchmarks.lasso."
        )
    scores = [{"suite": name, **score(rows)} for name, rows in found.items()]
    rows = [
        {"suite": name, **compared(problem, group)}
        for name, races_of_it in found.items()
        for problem, group in problems(races_of_it).items()
    ]
    tables = f"{markdown(scores)}\n\n{markdown(rows)}"
    print(tables)
    if options.write:
        readme = ROOT / "README.md"
        before, _, rest = readme.read_text().partition(BEGIN)
        if END not in rest:
            raise SystemExit(
                f"README.md must hold the two marks {BEGIN.strip()!r} and {END!r}; add them where the table goes."
            )
        readme.write_text(f"{before}{BEGIN}{tables}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
