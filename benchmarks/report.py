"""Results on disk: rows as CSV, rows with versions and the machine as JSON, tables as markdown."""

import csv
import json
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from benchmarks.measure import find_version

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "sparseopt", "numpy", "scipy", "numba", "scikit-learn", "skglm", "celer", "copt", "adelie", "sortedl1", "pycasso",
    "blitzl1", "python-glmnet", "glum", "cyanure", "modopt", "pyproximal", "scikit-survival", "benchopt", "piqp", "clarabel",
    "osqp", "daqp",
)  # fmt: skip


def setting():
    """What the figures depend on: processor, versions and commit."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := find_version(name))} | _glmnet_version(),
        "threads": 1,
    }


@cache
def commit():
    """The commit that is measured; a plus where the tree has changed since."""
    return _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "sparseopt") else "")


def kept_rows(name, title, rows, out=RESULTS):
    """The rows of a saved table whose races are not among these rows; what an older table lacks is empty."""
    file = out / f"{name}.json"
    if not file.exists():
        return []
    new = {_race(row) for row in rows}
    saved = json.loads(file.read_text())["tables"].get(title, [])
    kept = [row for row in saved if _race(row) not in new]
    return [{column: row.get(column) for column in rows[0]} for row in kept] if rows else kept


def _race(row):
    """What solvers of one race have in common: the problem, and how near to its minimum they must come."""
    return tuple(row.get(column) for column in ("dataset", "alpha", "target", "asked"))


def save(name, tables, out=RESULTS, unread=()):
    """Write NAME.json with all `tables` (title: rows), NAME.md without the unread ones, and one CSV file a table."""
    out.mkdir(parents=True, exist_ok=True)
    about = setting()
    (out / f"{name}.json").write_text(json.dumps({"setting": about, "tables": tables}, indent=1) + "\n")
    versions = ", ".join(f"{package} {number}" for package, number in about["versions"].items())
    parts = [
        f"# {name}",
        (
            f"CPU seconds of one thread. {about['processor']}, {about['system']}, Python {about['python']}, {versions}; "
            f"commit {about['commit']}, {about['date']}."
        ),
    ]
    for title, rows in tables.items():
        if title not in unread:
            parts += [f"## {title}", markdown(rows)]
        with (out / f"{name}-{_slug(title)}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (out / f"{name}.md").write_text("\n\n".join(parts) + "\n")


def markdown(rows):
    """Rows as a table; numbers in three significant digits."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([_shown(row[column]) for column in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value):
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _slug(title):
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _processor():
    """Model name where Linux tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _glmnet_version():
    """The version of R's glmnet, where there is one."""
    if shutil.which("Rscript") is None:
        return {}
    ask = ["Rscript", "-e", "cat(as.character(packageVersion('glmnet')))"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return {"glmnet of R": done.stdout} if done.returncode == 0 else {}


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=RESULTS.parent.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()
