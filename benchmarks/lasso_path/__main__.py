"""The race of this suite: `python -m benchmarks.lasso_path --help`."""

from benchmarks.suite import main

main("lasso_path")
