"""The race of this suite: `python -m benchmarks.lasso --help`."""

from benchmarks.suite import main

main("lasso")
