"""Where compiled code is kept: a directory of this user's alone, files that are whole or not there.

The files are unpickled, so nobody else may write them; a fault of the disk is a miss and never a failure.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import stat
import sys
import tempfile
from pathlib import Path


def read(file):
    """Contents of one file, or None where it is missing, damaged or not readable."""
    try:
        raw = file.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(raw[32:]).digest() != raw[:32]:
        return None
    try:
        return pickle.loads(raw[32:])  # noqa: S301 (the directory is this user's alone, see _is_private)
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError):
        return None


def write(file, data):
    """Write a file whole or not at all, whatever else writes it at the same time."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(hashlib.sha256(data).digest() + data)
        os.replace(temporary, file)
        evict(file.parent)
    except OSError:
        return  # a full or read-only disk costs the next process a compilation, nothing more


def evict(directory, keep=2000):
    """Remove the oldest files beyond `keep`: edits of the code leave files that no one asks for again."""
    files = sorted(directory.glob("*.nbc"), key=lambda file: file.stat().st_mtime)
    for file in files[:-keep]:
        file.unlink(missing_ok=True)


@functools.cache
def cache_directory():
    """Directory of this user's compiled kernels, or None where none is usable."""
    chosen = os.environ.get("SPARSEOPT_CACHE_DIR")
    if chosen == "off":
        return None
    user = os.getuid() if sys.platform != "win32" else "user"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    candidates = [Path(chosen)] if chosen else [home / "sparseopt", Path(tempfile.gettempdir()) / f"sparseopt-{user}"]
    return next(filter(is_usable, candidates), None)


def is_usable(directory):
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _is_private(directory) and os.access(directory, os.W_OK)
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return False


def _is_private(directory, trusted=()):
    """Whether only this user can put files there: they are unpickled, so they must be our own."""
    if sys.platform == "win32":
        return True
    status = directory.lstat()
    owned = status.st_uid == os.getuid() or status.st_uid in trusted
    return stat.S_ISDIR(status.st_mode) and owned and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@functools.cache
def bundle_directories():
    """Read-only directories of portable kernels: SPARSEOPT_BUNDLE, then the package sparseopt_bundle."""
    found = []
    if os.environ.get("SPARSEOPT_CACHE_DIR") != "off":
        if chosen := os.environ.get("SPARSEOPT_BUNDLE"):
            found.append(Path(chosen))
        found += [Path(entry or ".") / "sparseopt_bundle" for entry in sys.path]
    # Files of root are trusted: root could replace the interpreter as well.
    return [directory for directory in found if directory.is_dir() and _is_private(directory, trusted=(0,))]
