"""The race of this suite: `python -m benchmarks.logreg_l1 --help`."""

from benchmarks.suite import main

main("logreg_l1")
