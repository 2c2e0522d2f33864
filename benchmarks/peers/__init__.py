"""How a library is called that takes part in several suites."""
