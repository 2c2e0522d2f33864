"""Paths whose points are solved many at a time, where the problem has a kernel for that: what `path` tries first."""
