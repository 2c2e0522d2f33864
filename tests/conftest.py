"""What all tests share: how hypothesis draws, and a clean process to run a script in."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]

# One worker a core runs the tests: threads of BLAS beside them would wait for each other.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# The same examples in every run, and no time limit: a first call may compile.
hypothesis.settings.register_profile("sparseopt", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("sparseopt")

# A shell ignores Ctrl-C for what it starts in the background, and tests of Ctrl-C would never see one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start(tmp_path):
    """A function that starts a script in a new process, with a cache of its own."""

    def started(script, *, root=ROOT, **environment):
        file = tmp_path / "script.py"
        if not file.exists() or file.read_text() != script:
            file.write_text(script)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SPARSEOPT_", "NUMBA_"))}
        paths = os.pathsep.join([str(root), str(tmp_path)])
        settings = {"SPARSEOPT_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": paths, "PYTHONWARNINGS": "error"}
        return subprocess.Popen(
            [sys.executable, str(file)],
            env=inherited | settings | environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


@pytest.fixture
def run(start):
    """A function that runs a script in a new process, and returns the last line that it printed."""

    def ran(script, **environment):
        process = start(script, **environment)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out.strip().splitlines()[-1]

    return ran
