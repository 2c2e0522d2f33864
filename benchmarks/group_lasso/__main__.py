"""The race of this suite: `python -m benchmarks.group_lasso --help`."""

from benchmarks.suite import main

main("group_lasso")
