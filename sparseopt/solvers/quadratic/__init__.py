"""Parts of quadratic programming: the form of a program, its Newton systems, presolve and rays."""
