"""Options and files that `prune` cannot use are refused in words."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import NumpyMLP, SparseNetwork, quantised

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
NETWORK = NumpyMLP([RNG.standard_normal((6, 5)), RNG.standard_normal((5, 2))])


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"resume": 3}, TypeError, "resume is int; give the Pruned"),
        ({"validation": (X,)}, ValueError, "validation is a tuple of 1; give"),
        ({"layers": []}, ValueError, "layers is empty; leave it out for all"),
        ({"sparsity": "half"}, TypeError, "sparsity is 'half'; give one number"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
def test_a_mistaken_option_is_named(options, kind, words):
    with pytest.raises(kind, match=words):
        so.prune(NETWORK, X, **{"sparsity": 0.5, **options})


def test_missing_samples_are_refused():
    """What is under the mask of an array was pruned by."""
    with pytest.raises(ValueError, match="X is a masked array with missing values"):
        so.prune(NETWORK, np.ma.array(X, mask=np.eye(40, 6)), sparsity=0.5)
    with pytest.raises(ValueError, match="X is None"):
        so.prune(NETWORK, None, sparsity=0.5)


@pytest.mark.parametrize("bits", [None, "8"])
def test_bits_are_a_number(bits):
    with pytest.raises(TypeError, match="bits is .*; give a whole number"):
        quantised(NETWORK, bits=bits)


def test_a_damaged_network_is_refused_in_words(tmp_path):
    """Each byte of the directory at the end of the file says something else about what is in it."""
    path = tmp_path / "network.npz"
    SparseNetwork.of(NETWORK).save(path)
    whole = path.read_bytes()
    directory = whole.rindex(b"PK\x01\x02")
    for place in (directory + 6, directory + 8, directory + 10, len(whole) - 4):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="network.npz"):
            SparseNetwork.load(path)
    with pytest.raises(FileNotFoundError):
        SparseNetwork.load(tmp_path / "none.npz")
