"""Problems in the layouts that kernels and solvers read: quadratic programs, linear rows, best subsets under rows."""
