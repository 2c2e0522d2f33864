"""R's glmnet (Friedman et al., 2010; Tay et al., 2023), in an Rscript that keeps the problem and has its own clock."""

import atexit
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks.grammar import TunedSolver, decades

if shutil.which("Rscript") is None:
    raise ImportError("Rscript")

SCRIPT = Path(__file__).with_name("glmnet.R")


class Session:
    """An Rscript that holds the data of a problem; a fork has one of its own on the same files."""

    def __init__(self, problem, folder=None):
        self.X, self.owner = problem.X, os.getpid()
        self.folder = folder or Path(tempfile.mkdtemp())
        if folder is None:
            self.write_data(problem.X, problem.y)
            atexit.register(self.close)
        command = ["Rscript", str(SCRIPT), str(self.folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def write_data(self, X, y):
        """The files that the script reads, in Fortran order."""
        if sparse.issparse(X):
            self.file("rows").write_bytes(X.indices.astype(np.int32))
            self.file("starts").write_bytes(X.indptr.astype(np.int32))
        self.file("entries").write_bytes(X.data if sparse.issparse(X) else np.ascontiguousarray(X.T))
        self.file("y").write_bytes(np.ascontiguousarray(y.T))
        self.file("shape").write_bytes(np.array([*X.shape, y.size // len(y)], dtype=np.int32))

    def close(self):
        """End it; the files go with the process that wrote them."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name):
        return self.folder / name

    def path(self, alphas, tolerance, family, kind):
        """Coefficients, a column for each alpha of each response, and CPU seconds."""
        name = f"path-{self.owner}"
        self.file(name).write_bytes(np.asarray(alphas))
        print(name, family, tolerance, kind, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("Rscript has failed; it must have the package glmnet, and glmnet may have no answer.")
        entries, rows, starts = (
            np.fromfile(self.file(f"{name}-{part}"), dtype)
            for part, dtype in (("entries", np.float64), ("rows", np.int32), ("starts", np.int32))
        )
        w = sparse.csc_matrix((entries, rows, starts), shape=(self.X.shape[1], starts.size - 1))
        return w.toarray(), float(answer)


class GlmnetSolver(TunedSolver):
    """`thresh` is a change of the objective, relative to that at zero."""

    name = "glmnet"
    tolerances = decades(6, 20)
    session = None

    def found(self, problem, alphas, tolerance, family, kind="ungrouped"):
        """Coefficients of a path, shape (alphas, p), or (alphas, p, responses) where there are several."""
        last = GlmnetSolver.session
        if last is None or last.X is not problem.X:
            if last is not None:
                last.close()
            GlmnetSolver.session = Session(problem)
        elif last.owner != os.getpid() or last.process.poll() is not None:
            GlmnetSolver.session = Session(problem, last.folder)
        w, self.own_seconds = GlmnetSolver.session.path(alphas, tolerance, family, kind)
        columns = w.T.reshape(-1, len(alphas), problem.X.shape[1])
        return columns[0] if len(columns) == 1 else columns.transpose(1, 2, 0)
