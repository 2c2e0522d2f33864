"""The tables of races: on each problem of each suite, ours, the best peer, and how they compare, the losses too.

The page of the documentation has all of them; the README has the scores, and the races that are lost or hardly won.

python -m benchmarks.summary [--write]
"""

import argparse
import json

from benchmarks.measure import ROOT
from benchmarks.report import RESULTS, markdown
from benchmarks.standing import compared, problems, score

#: Results with races, by the name of their files; what else is saved there follows.
FIRST = ("lasso", "lasso_path", "logreg_l1", "logreg_path", "group_lasso", "mcp", "glm_path")
#: The README shows races in which ours is at most this many times as fast.
CLOSE = 1.2
README, PAGE = ROOT / "README.md", ROOT / "docs" / "explanation" / "speed.md"
BEGIN, END = "<!-- races: written by python -m benchmarks.summary -->\n", "<!-- end of races -->"


def races():
    """The saved rows of each suite and of each race that has a name of its own."""
    saved = {file.stem: json.loads(file.read_text())["tables"].get("races") for file in sorted(RESULTS.glob("*.json"))}
    names = [*(name for name in FIRST if name in saved), *(name for name in saved if name not in FIRST)]
    return {name: saved[name] for name in names if saved[name]}


def put(page, tables):
    """Put tables between the two marks of a page."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(
            f"{page.name} must hold the two marks {BEGIN.strip()!r} and {END!r}; add them where the tables go."
        )
    page.write_text(f"{before}{BEGIN}{tables}\n{END}{after}")


def is_close(row):
    """Whether a peer was as fast, or nearly, or alone reached the target."""
    return not isinstance(row["sparseopt s"], float) or (row["times as fast"] or CLOSE) < CLOSE


def main():
    """Print the tables, or put them into the README and the page on speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description="The tables of races.")
    parser.add_argument("--write", action="store_true", help="put the tables into the README and the page on speed")
    options = parser.parse_args()
    found = races()
    if not found:
        raise SystemExit(
            "benchmarks/results holds no races yet; run a suite first, for example python -m benchmarks.lasso."
        )
    scores = markdown([{"suite": name, **score(rows)} for name, rows in found.items()])
    rows = [
        {"suite": name, **compared(problem, group)}
        for name, races_of_it in found.items()
        for problem, group in problems(races_of_it).items()
    ]
    print(f"{scores}\n\n{markdown(rows)}")
    if options.write:
        put(README, f"{scores}\n\n{markdown(list(filter(is_close, rows)))}")
        put(PAGE, f"{scores}\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
