import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparseopt.mask import Mask

SHAPES = {"first": (3, 2), "second": (4,), "empty": (0, 5)}
MASKS = st.fixed_dictionaries({name: hnp.arrays(bool, shape) for name, shape in SHAPES.items()}).map(Mask)
# Every float there is, with NaN and infinities: a mask selects and does not multiply.
WEIGHTS = st.fixed_dictionaries({name: hnp.arrays(np.float64, shape) for name, shape in SHAPES.items()})
NAMED_MASKS = st.dictionaries(st.text(), hnp.arrays(bool, hnp.array_shapes()), min_size=1, max_size=4).map(Mask)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


@given(MASKS, MASKS, MASKS)
def test_masks_are_a_boolean_algebra(a, b, c):
    assert ~~a == a
    assert a & b == b & a
    assert a | (b & c) == (a | b) & (a | c)
    assert ~(a & b) == ~a | ~b
    assert (a & ~a).kept == 0
    assert (a | ~a).density == 1


@given(MASKS, MASKS)
def test_counts_obey_inclusion_and_exclusion(a, b):
    assert (a & b).kept + (a | b).kept == a.kept + b.kept
    assert a.kept + (~a).kept == a.total == 10
    assert a.density == a.kept / 10
    assert a.counts["first"] == (a["first"].sum(), 6)


@given(MASKS, WEIGHTS)
def test_undo_restores_what_apply_set_to_zero(mask, weights):
    lent = copy.deepcopy(weights)
    masked = mask.apply(weights)
    assert all(np.all(masked[name][~mask[name]] == 0) for name in mask)
    assert same(mask.undo(masked, weights), weights)
    assert same(weights, lent)


@given(MASKS, WEIGHTS, WEIGHTS)
def test_undo_keeps_what_was_learned_since(mask, original, learned):
    restored = mask.undo(mask.apply(learned), original)
    assert same(mask.apply(restored), mask.apply(learned))
    assert same((~mask).apply(restored), (~mask).apply(original))


@given(MASKS, MASKS, WEIGHTS)
def test_two_masks_in_turn_are_their_intersection(a, b, weights):
    assert same(a.apply(b.apply(weights)), (a & b).apply(weights))


@given(NAMED_MASKS)
def test_a_saved_mask_is_loaded_as_it_was(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("masks") / "mask"
    mask.save(path)
    assert Mask.load(path) == mask
    assert list(Mask.load(str(path))) == list(mask)


@given(NAMED_MASKS)
def test_copies_are_equal(mask):
    for twin in (copy.deepcopy(mask), copy.copy(mask), pickle.loads(pickle.dumps(mask)), Mask(mask)):
        assert twin == mask
        assert hash(twin) == hash(mask)


def test_weights_come_back_in_the_form_they_came():
    mask = Mask({"a": np.array([True, False]), "b": np.array([[False, True]])})
    a, b = np.ones(2, np.float32), np.ones((1, 2), int)
    assert [array.tolist() for array in mask.apply([a, b])] == [[1, 0], [[0, 1]]]
    assert [array.tolist() for array in mask.apply((a, b))] == [[1, 0], [[0, 1]]]
    assert type(mask.apply((a, b))) is tuple
    assert [array.dtype for array in mask.apply([a, b])] == [np.float32, np.int64]
    single = Mask({"a": np.array([True, False])})
    assert single.apply(a).tolist() == [1, 0]
    assert single.undo(np.array([5.0, 0.0]), np.array([1.0, 2.0])).tolist() == [5, 2]


def test_names_that_the_mask_does_not_know_pass():
    masked = Mask({"w": np.array([False])}).apply({"w": np.array([2.0]), "bias": np.array([3.0])})
    assert masked == {"w": np.array([0.0]), "bias": np.array([3.0])}


def test_a_mask_cannot_be_changed():
    lent = np.array([True, False])
    mask = Mask({"w": lent})
    lent[:] = False
    assert mask["w"].tolist() == [True, False]
    with pytest.raises(ValueError, match="read-only"):
        mask["w"][0] = False
    with pytest.raises(TypeError):
        mask.arrays["other"] = lent


def test_a_mask_is_short_to_read():
    mask = Mask({"a": np.arange(784) < 79, "b": np.array([True, False])})
    assert repr(mask) == "Mask(2 weights, density 0.1: 79 of 784, 1 of 2)"
    assert repr(Mask({str(i): np.array([True]) for i in range(5)})).endswith("1 of 1, 1 of 1, 1 of 1, ...)")


def test_the_support_of_a_solution_is_a_mask():
    solution = SimpleNamespace(w=np.array([0.0, 1.0, -0.0, -2.0, 0.0, np.nan]))
    assert Mask.of(solution)["w"].tolist() == [False, True, False, True, False, True]
    assert Mask.of(solution, "coef", (2, 3))["coef"].tolist() == [[False, True, False], [True, False, True]]
    parts = Mask.of(solution, ["a", "b"], [(2, 2), 2])
    assert parts["a"].tolist() == [[False, True], [False, True]]
    assert parts["b"].tolist() == [False, True]
    assert Mask.of(np.array([0.0, 3.0])) == Mask({"w": np.array([False, True])})


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: Mask({}), "no weights"),
        (lambda: Mask({"w": np.zeros(0, bool)}), "no weights"),
        (lambda: Mask({"w": np.array([0, 1])}), "give booleans"),
        (lambda: Mask({"w": [[True], [True, False]]}), "inhomogeneous"),
        (lambda: Mask.of(np.ones(3), shape=(2, 2)), "mend the shapes"),
        (lambda: Mask.of(np.ones(3), ["a", "b"]), "one shape for each name"),
        (lambda: Mask.of(np.ones(3), []), "give a name"),
        (lambda: Mask({"w": np.array([True])}).apply({"v": np.ones(1)}), "knows 'w', the weights do not"),
        (lambda: Mask({"w": np.array([True])}).apply(np.ones(2)), "they must agree"),
        (lambda: Mask({"w": np.array([True])}).apply([np.ones(1), np.ones(1)]), "give one for each"),
        (lambda: Mask({"w": np.array([True])}).undo(np.ones(1), np.ones(2)), "they must agree"),
        (lambda: Mask({"w": np.array([True])}) & Mask({"v": np.array([True])}), "must agree"),
        (lambda: Mask({"w": np.array([True])}) | Mask({"w": np.array([True, True])}), "must agree"),
    ],
)
def test_a_mistake_is_told_at_the_door(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Mask([np.array([True])]),
        lambda: Mask({1: np.array([True])}),
        lambda: Mask({"w": np.array([True])}).apply(3.0),
        lambda: Mask({"w": np.array([True])}) & np.array([True]),
    ],
)
def test_a_wrong_kind_is_a_type_error(mistake):
    with pytest.raises(TypeError):
        mistake()


def test_a_file_that_holds_no_mask_is_refused(tmp_path):
    np.savez(tmp_path / "other", w=np.ones(3))
    np.savez(tmp_path / "names", names=np.array(["w"]), w=np.ones(3))
    np.save(tmp_path / "array", np.ones(3))
    (tmp_path / "text").write_text("no archive")
    (tmp_path / "empty").touch()
    Mask({"w": np.arange(5000) % 7 == 0}).save(tmp_path / "whole")
    whole = bytearray((tmp_path / "whole").read_bytes())
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    damaged = {}
    # what is compressed, how it is compressed, whether it is encrypted, the version, the place of the directory
    directory = whole.rindex(b"PK\x01\x02")
    for place in (80, directory + 10, directory + 8, directory + 6, len(whole) - 4):
        damaged[f"damaged {place}"] = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    for name in ("other.npz", "names.npz", "array.npy", "text", "empty", "half", *damaged):
        with pytest.raises(ValueError, match="holds no mask"):
            Mask.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Mask.load(tmp_path / "none")
    with pytest.raises(TypeError, match="path must be a string or a path, got NoneType"):
        Mask.load(None)
