"""Reports: certificates and solutions as plain data, ready for JSON."""

import json
import math
from pathlib import Path

import numpy as np


def certificate_data(certificate) -> dict:
    """What a certificate says of the point it belongs to."""
    return {
        "proof": certificate.proof,
        "objective": certificate.objective,
        "lower_bound": certificate.lower_bound,
        "gap": certificate.gap,
        "relative_gap": certificate.relative_gap,
        "violation": certificate.violation,
        "stationarity": certificate.stationarity,
        "dual_residual": certificate.dual_residual,
    }


def solution_data(solution, w, names) -> dict:
    """Status, counts, certificate and the nonzero coefficients w under their names."""
    return {
        "status": solution.status.name,
        "solver": solution.solver,
        "iterations": solution.iterations,
        "seconds": solution.seconds,
        "intercept": solution.intercept,
        "coefficients": {names[j]: w[j] for j in np.flatnonzero(w)},
        "certificate": certificate_data(solution.certificate),
    }


def write_json(file, data) -> None:
    """Write data into a file, with its folders; what JSON cannot hold (inf, nan) becomes null."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_plain(data), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value):
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case float() if not math.isfinite(value):
            return None
    return value
