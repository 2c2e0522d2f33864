"""Benchmarks: one thread, CPU seconds, ratios taken within one run.

    python -m benchmarks.lasso | lasso_path | logreg_l1 | logreg_path | group_lasso | mcp | glm_path | kernels | growth | latency | memory | soundness
    python -m benchmarks.pruning_layers

The environment is set here, before anything imports numpy: BLAS and numba read it when they load.
"""

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))
# Settings that change which kernels OpenBLAS takes would slow some of the peers and not others.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
