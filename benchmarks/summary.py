"""The README's table: on each problem of each suite, ours, the best peer, and how they compare, the losses too.

python -m benchmarks.summary [--write]
"""

import argparse
import json

from benchmarks.measure import ROOT
from benchmarks.report import RESULTS, markdown

SUITES = ("lasso", "lasso_path", "logreg_l1", "group_lasso", "mcp", "glm_path")
BEGIN, END = "<!-- races: written by python -m benchmarks.summary -->\n", "<!-- end of races -->"
OURS = "sparseopt[default]"


def problems(rows):
    """The rows of each problem and target."""
    found = {}
    for row in rows:
        found.setdefault((row["dataset"], row["alpha"], row["target"]), []).append(row)
    return found


def compared(suite, problem, rows):
    """Ours beside the fastest peer; None where no one has reached the target."""
    ours = next((row["CPU s"] for row in rows if row["solver"] == OURS), None)
    peers = [row for row in rows if not row["solver"].startswith("sparseopt") and row["CPU s"]]
    best = min(peers, key=lambda row: row["CPU s"], default=None)
    if ours is None and best is None:
        return None
    dataset, alpha, target = problem
    return {
        "suite": suite,
        "problem": f"{dataset}, {alpha}",
        "to": f"{target:g}",
        "sparseopt s": ours if ours is not None else "not reached",
        "best peer": best["solver"] if best else "none reaches it",
        "its s": best["CPU s"] if best else None,
        "times as fast": best["CPU s"] / ours if ours and best else None,
    }


def summary():
    """One row a problem, from the saved results of all suites."""
    rows = []
    for suite in SUITES:
        file = RESULTS / f"{suite}.json"
        races = json.loads(file.read_text())["tables"].get("races", []) if file.exists() else []
        rows += [row for problem, group in problems(races).items() if (row := compared(suite, problem, group))]
    return rows


def main():
    """Print the table, or put it between the two marks of the README."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description="The README's table of races.")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    rows = summary()
    if not rows:
        raise SystemExit(
            "benchmarks/results holds no races yet; run a suite first, for example python -m benchmarks.lasso."
        )
    table = markdown(rows)
    print(table)
    if parser.parse_args().write:
        readme = ROOT / "README.md"
        before, _, rest = readme.read_text().partition(BEGIN)
        if END not in rest:
            raise SystemExit(
                f"README.md must hold the two marks {BEGIN.strip()!r} and {END!r}; add them where the table goes."
            )
        readme.write_text(f"{before}{BEGIN}{table}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
