"""The race of this suite: `python -m benchmarks.logreg_path --help`."""

from benchmarks.suite import main

main("logreg_path")
