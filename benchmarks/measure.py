"""Clocks and processes: CPU seconds of calls that take turns, and of code in a new process."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cpu_seconds(call, prepare=None):
    """CPU seconds of the process, all its threads, during one call; what `prepare` takes is not counted."""
    if prepare is not None:
        prepare()
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e9


def race(calls, rounds, prepare=None, budget=float("inf"), clock=cpu_seconds, losses=()):
    """CPU seconds of each named call, a list for each; the calls take turns, so that noise hits all alike.

    A call that has used up `budget` seconds runs no more, but each runs at least twice. `clock`
    takes a call and `prepare`; a call that runs elsewhere brings its own. One that raises one of `losses` is out of
    the race, with the times it has.
    """
    times, lost = {name: [] for name in calls}, set()
    for turn in range(rounds):
        for name, call in calls.items():
            if name not in lost and (turn < 2 or sum(times[name]) < budget):
                try:
                    times[name].append(clock(call, prepare))
                except losses as failure:
                    print(f"  {name} is out of the race: {failure}", flush=True)
                    lost.add(name)
    return times


def in_new_process(code, *arguments, caches=None, python=sys.executable):
    """What `code` prints as its last line, read as JSON; `caches` is the directory of compiled code it may use.

    Without `caches` numba and sparseopt use the directories they would use anyway.
    """
    # a user's interpreter keeps bytecode, and so does that of an import that is timed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if caches is not None:
        environment |= {"NUMBA_CACHE_DIR": str(caches), "SPARSEOPT_CACHE_DIR": str(caches)}
    command = [python, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"a new process failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_of(process_id):
    """CPU seconds that a running process has used so far; infinite where the system has no file that says so."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_silent(pipe, process_id, seconds):
    """Whether nothing comes from a process while it works for so many CPU seconds, or five times as many go by.

    On a busy machine a solver gets its share of work, and one that waits for another process ends all the same.
    """
    begun = cpu_of(process_id)
    for _ in range(5):
        if pipe.poll(seconds):
            return False
        # a little less, since no process has all of its time
        if not cpu_of(process_id) - begun < 0.9 * seconds:
            break
    return True


def in_fork(items, seconds):
    """The items of a generator that runs in a forked process, which ends where one of them takes longer than this.

    Some solvers never return from a tolerance that they cannot reach, and nothing but this ends them.
    """
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def send_all():
        try:
            for item in items:
                sender.send((True, item))
            sender.send((False, None))
        except Exception as failure:  # noqa: BLE001 (it is raised again on the other side)
            sender.send((False, failure))

    process = fork.Process(target=send_all)
    process.start()
    sender.close()
    try:
        while True:
            if is_silent(receiver, process.pid, seconds):
                raise TimeoutError(f"no end of a run within {seconds:g} seconds")
            is_item, found = receiver.recv()
            if is_item:
                yield found
            elif found is None:
                return
            else:
                raise found
    finally:
        process.kill()
        process.join()


def find_version(package):
    """Version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
