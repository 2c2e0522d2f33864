"""Files of sparse networks: kept weights and their places, the weights as codes of a few bits if asked for."""

from __future__ import annotations

import json

import numpy as np
from scipy import sparse

from sparseopt.pruning.networks import Activation, Link, identity
from sparseopt.pruning.quantisation import codes_and_scales
from sparseopt.reading import DAMAGES, check_path


def write(network, path, bits, bias_bits):
    """Write a sparse network to exactly this path, as an npz file without pickles."""
    check_path(path)
    functions = [_name(function) for function in network.functions]
    about = {"link": network.link.value, "functions": functions, "type": network.weights[0].dtype.name}
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        outputs, inputs = weight.shape
        # Places below 65536 need two bytes.
        arrays[f"places_{i}"] = weight.indices.astype(np.uint16 if inputs <= 2**16 else np.int32)
        arrays[f"starts_{i}"] = weight.indptr
        arrays[f"inputs_{i}"] = np.array(inputs)
        if bits is None:
            arrays[f"weights_{i}"] = weight.data
        else:
            codes, scales = codes_and_scales(weight.toarray().T, bits)
            rows = np.repeat(np.arange(outputs), np.diff(weight.indptr))
            arrays[f"weights_{i}"], arrays[f"scales_{i}"] = codes[weight.indices, rows], scales.astype(weight.dtype)
        if bias is not None and bias_bits is None:
            arrays[f"bias_{i}"] = bias
        elif bias is not None:
            codes, scales = codes_and_scales(bias[:, np.newaxis], bias_bits)
            arrays[f"bias_{i}"], arrays[f"bias_scale_{i}"] = codes[:, 0], scales.astype(bias.dtype)
    with open(path, "wb") as file:  # noqa: PTH123, a path or a string
        np.savez_compressed(file, **arrays)


def read(cls, path):
    """Sparse network of a file that `write` wrote."""
    check_path(path)
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:  # noqa: PTH123
            about = json.loads(stored["about"].tobytes())
            weights, biases = [], []
            while f"places_{len(weights)}" in stored:
                i = len(weights)
                data, starts = stored[f"weights_{i}"].astype(about["type"]), stored[f"starts_{i}"]
                if f"scales_{i}" in stored:
                    data *= np.repeat(stored[f"scales_{i}"], np.diff(starts))
                parts = (data, stored[f"places_{i}"].astype(starts.dtype), starts)
                weight = sparse.csr_array(parts, shape=(starts.size - 1, int(stored[f"inputs_{i}"])))
                weight.check_format()
                weights.append(weight)
                bias = stored.get(f"bias_{i}", None)
                if f"bias_scale_{i}" in stored:
                    bias = bias * stored[f"bias_scale_{i}"]
                biases.append(bias)
            functions = tuple(_function(name) for name in about["functions"])
            return cls(tuple(weights), tuple(biases), functions, Link(about["link"]))
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise  # these say what is wrong
    except (*DAMAGES, KeyError, IndexError, AttributeError) as e:
        raise ValueError(f"{path} holds no sparse network, or a damaged one; write it with SparseNetwork.save.") from e


def _name(function):
    if function is identity:
        return "identity"
    if isinstance(getattr(function, "__self__", None), Activation):
        return function.__self__.name.lower()
    raise TypeError(
        f"{function!r} is no activation of ours, and a file holds none of another library; pickle the network."
    )


def _function(name):
    return identity if name == "identity" else Activation(name).value
