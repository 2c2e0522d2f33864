"""The race of this suite: `python -m benchmarks.glm_path --help`."""

from benchmarks.suite import main

main("glm_path")
