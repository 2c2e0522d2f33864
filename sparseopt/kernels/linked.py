"""A Newton system that kernels reach by address: they are compiled once, whatever system it is.

`act` is compiled for each type of system, and does all that one does. `LinkedSystem` knows where that machine code
and the fields of a system are.
"""

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, address_of, alike, call_at, copy_fields, is_compiled, kernel, n_words

_HOLD, _CURVE, _IMAGE, _PULL, _FACTORISE, _SOLVE = range(6)


@kernel
def act(system, what, x, y, out, out_y):
    """One of the methods of a system, in place; whether it went well. At first, its fields go into x."""
    if what == _HOLD:
        copy_fields(system, x)
    elif what == _CURVE:
        system.curve(x, out)
    elif what == _IMAGE:
        system.image(x, out)
    elif what == _PULL:
        system.pull(x, out)
    elif what == _FACTORISE:
        return 1 if system.factorise(x, y) else 0
    else:
        system.solve(x, y, out, out_y)
    return 1


@dataclass(frozen=True, eq=False)
class LinkedSystem(Term):
    """The methods of a Newton system, by the addresses of its machine code and of its fields."""

    code: int
    rough: bool
    fields: np.ndarray = field(repr=False)
    #: What owns the memory of the fields.
    system: object = field(repr=False, metadata={"compiled": False})

    def curve(self, x, out):
        """The product P x, into `out`."""
        call_at(self.code, self.fields, _CURVE, x, x, out, out)

    def image(self, x, out):
        """The product A x, into `out`."""
        call_at(self.code, self.fields, _IMAGE, x, x, out, out)

    def pull(self, y, out):
        """The product A'y, into `out`."""
        call_at(self.code, self.fields, _PULL, y, y, out, out)

    def is_rough(self):
        """Whether solutions are always refined as far as they get."""
        return self.rough

    def factorise(self, D, E):
        """Factorise for these diagonals; whether that went well."""
        return call_at(self.code, self.fields, _FACTORISE, D, E, D, E) != 0

    def solve(self, r, t, w, nu):
        """Solution, to the accuracy of the factorisation, into w and nu; r and t become work space."""
        call_at(self.code, self.fields, _SOLVE, r, t, w, nu)


def linked(system):
    """The system for kernels that do not know its type; the system itself where nothing is compiled."""
    if not is_compiled():
        return system
    fields = np.empty(n_words(system))
    act(system, _HOLD, fields, fields, fields, fields)
    code = address_of(act, system, _HOLD, fields, fields, fields, fields)
    return alike(LinkedSystem, code=code, rough=system.is_rough(), fields=fields, system=system)
