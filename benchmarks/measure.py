"""Clocks and processes: CPU seconds of calls that take turns, and of code in a new process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cpu_seconds(call, prepare=None):
    """CPU seconds of the process, all its threads, during one call; what `prepare` takes is not counted."""
    if prepare is not None:
        prepare()
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e9


def race(calls, rounds, prepare=None, budget=float("inf")):
    """CPU seconds of each named call, a list for each; the calls take turns, so that noise hits all alike.

    A call that has used up `budget` seconds runs no more, but each runs at least twice.
    """
    times = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items():
            if turn < 2 or sum(times[name]) < budget:
                times[name].append(cpu_seconds(call, prepare))
    return times


def in_new_process(code, *arguments, caches=None):
    """What `code` prints as its last line, read as JSON; `caches` is the directory of compiled code it may use.

    Without `caches` numba and sparseopt use the directories they would use anyway.
    """
    # a user's interpreter keeps bytecode, and so does that of an import that is timed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if caches is not None:
        environment |= {"NUMBA_CACHE_DIR": str(caches), "SPARSEOPT_CACHE_DIR": str(caches)}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"a new process failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
