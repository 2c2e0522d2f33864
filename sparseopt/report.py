"""Reports: a certificate and a solution as plain data, ready for JSON, and as lines to print."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np


def certificate_data(certificate) -> dict:
    """All that a certificate says; numbers that JSON cannot hold become null."""
    return _plain(dataclasses.asdict(certificate))


def solution_data(solution, w, names) -> dict:
    """Status, counts, certificate and the nonzero coefficients w under their names."""
    return {
        "status": solution.status.name,
        "iterations": int(solution.iterations),
        "seconds": float(solution.seconds),
        "intercept": float(solution.intercept),
        "coefficients": {names[j]: float(w[j]) for j in np.flatnonzero(w)},
        "certificate": certificate_data(solution.certificate),
    }


def certificate_line(certificate) -> str:
    """What is proven, in one line: the gap where there is a bound, the residuals elsewhere."""
    if math.isfinite(certificate.gap):
        line = f"relative gap {certificate.relative_gap:.1e} by {certificate.proof}"
    else:
        line = f"no bound; {certificate.proof} {certificate.stationarity:.1e}"
    if certificate.violation > 0:
        line += f", violation {certificate.violation:.1e}"
    return line


def write_json(file, data) -> None:
    """Write data where `file` says, with its folders."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_plain(data), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value):
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case np.ndarray():
            return _plain(value.tolist())
        case float() | np.floating():
            return float(value) if math.isfinite(value) else None
        case np.integer() | np.bool_():
            return value.item()
    return value
