"""The race of this suite: `python -m benchmarks.mcp --help`."""

from benchmarks.suite import main

main("mcp")
