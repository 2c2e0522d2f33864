"""The prox of any term, for solvers whose own loop is in Python."""

from sparseopt._jit import kernel


@kernel
def prox(term, v, step, out):
    """Prox of the term at v with the given step, into `out`."""
    term.prox_into(v, step, out)
