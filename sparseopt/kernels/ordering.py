"""An order of elimination that keeps the factor of a sparse symmetric matrix sparse: approximate minimum degree.

Eliminating a variable joins all of its neighbours. The graph is kept as variables and elements
(what was eliminated, with the variables that it joins), so that it never grows; a variable's
degree is bounded from above by the sizes of its elements; variables with the same neighbours are
merged (Amestoy, Davis and Duff, 1996).

Each variable or element i has its list at lists[start[i]:], first `elements[i]` elements and then
variables, `length[i]` in all. weight[i] is the number of variables that i stands for, zero once it
is merged or eliminated, and negative while it is being joined; `mark` is -1 for a dead element.
"""

import numpy as np

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# Places in `state`: where lists end, the least degree, the number of variables done, the stamp of marks, the size of
# the element, and how many variables are full; there are so many. All are zero before the first call.
_END, _LEAST, _DONE, _STAMP, _SIZE, _FULL, NUMBERS = 0, 1, 2, 3, 4, 5, 6
# Rows of `space`, and of `ends`, which have one entry more.
WIDE, TALL = 9, 3


def _file(i, degree, head, after, before):
    """Put variable i first in the list of its degree."""
    after[i], before[i] = head[degree], -1
    if head[degree] >= 0:
        before[head[degree]] = i
    head[degree] = i


def _unfile(i, degree, head, after, before):
    """Take variable i out of the list of its degree."""
    if after[i] >= 0:
        before[after[i]] = before[i]
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        head[degree] = after[i]


def _tidy(start, length, lists, spare, state):
    """Move the lists that are in use together; those of dead elements have no length."""
    end = 0
    for i in range(start.size):
        first, start[i] = start[i], end
        for t in range(length[i]):
            spare[end] = lists[first + t]
            end += 1
    for t in range(end):
        lists[t] = spare[t]
    state[_END] = end


def _joined(me, start, length, elements, weight, degree, mark, head, after, before, lists, state):
    """Write the variables that the elimination of `me` joins at the end of the lists; returns where they begin."""
    begin = end = state[_END]
    size = 0
    for t in range(-1, elements[me]):
        e = me if t < 0 else lists[start[me] + t]
        first = start[e] + (elements[me] if t < 0 else 0)
        for s in range(U(first), U(start[e] + length[e])):
            i = lists[s]
            own = weight[U(i)]
            if own > 0:
                size += own
                lists[U(end)] = i
                end += 1
                _unfile(i, degree[U(i)], head, after, before)
                weight[U(i)] = -own
        if t >= 0:
            length[e], mark[e] = 0, -1
    start[me], length[me], elements[me], degree[me] = begin, end - begin, 0, size
    state[_END], state[_SIZE] = end, size
    return begin


def _measure(begin, end, start, elements, weight, degree, mark, lists, stamp):
    """Leave stamp + (variables of e outside of the new element) in the mark of each element e that meets it."""
    for t in range(U(begin), U(end)):
        i = U(lists[t])
        own = weight[i]  # negative
        for s in range(U(start[i]), U(start[i] + elements[i])):
            e = U(lists[s])
            known = mark[e]
            if known >= stamp:
                mark[e] = known + own
            elif known >= 0:
                mark[e] = degree[e] + stamp + own


def _shortened(i, me, start, length, elements, weight, mark, lists, stamp):
    """Drop from the list of i what the element `me` covers; returns the bound on its other neighbours and a hash."""
    first, end, outside, code = start[i], start[i] + elements[i], 0, me
    to = first
    for s in range(U(first), U(end)):
        e = lists[s]
        known = mark[U(e)]
        if known >= 0:
            if known > stamp:
                outside += known - stamp
                code += e
                lists[U(to)] = e
                to += 1
            else:  # all of it is in `me`
                mark[U(e)] = -1
    kept = to
    for s in range(U(end), U(first + length[i])):
        j = lists[s]
        if weight[U(j)] > 0:
            outside += weight[U(j)]
            code += j
            # at least one place has become free: the list had `me` or one of its elements
            lists[U(to)] = j
            to += 1
    # `me` comes first, in the place of the first element, which goes behind the elements
    if kept < to:
        lists[to] = lists[kept]
    if first < kept:
        lists[kept] = lists[first]
    lists[first] = me
    elements[i], length[i] = kept - first + 1, to - first + 1
    return outside, code


def _is_same(i, j, start, length, elements, mark, lists, stamp):
    """Whether j has the list of i, whose entries are marked with the stamp in `mark`."""
    if length[i] != length[j] or elements[i] != elements[j]:
        return False
    for s in range(U(start[j] + 1), U(start[j] + length[j])):  # noqa: SIM110 (no generators in compiled code)
        if mark[U(lists[s])] != stamp:
            return False
    return True


def _examine(me, begin, start, length, elements, weight, degree, owner, mark, after, before, bucket, lists, state):
    """Shorten the lists of what `me` joins, eliminate with it what it covers, and sort the others by their hashes."""
    stamp, n = state[_STAMP] + 1, start.size  # above all marks of comparisons
    end = begin + length[me]
    _measure(begin, end, start, elements, weight, degree, mark, lists, stamp)
    for t in range(begin, end):
        i = lists[t]
        outside, code = _shortened(i, me, start, length, elements, weight, mark, lists, stamp)
        if outside == 0:
            owner[i] = me
            weight[me] += weight[i]
            state[_SIZE] += weight[i]
            weight[i], length[i] = 0, 0
        else:
            degree[i] = min(degree[i], outside)
            code %= n
            after[i], before[i] = bucket[code], code
            bucket[code] = i
    state[_STAMP] = stamp + n + 1


def _merge(begin, end, start, length, elements, weight, owner, mark, after, before, bucket, lists, state):
    """Merge the variables of the new element that have the same neighbours."""
    for t in range(begin, end):
        if weight[lists[t]] == 0:
            continue
        i = bucket[before[lists[t]]]
        bucket[before[lists[t]]] = -1
        while i >= 0 and after[i] >= 0:
            state[_STAMP] += 1
            stamp = state[_STAMP]
            for s in range(U(start[i] + 1), U(start[i] + length[i])):
                mark[U(lists[s])] = stamp
            last, j = i, after[i]
            while j >= 0:
                if _is_same(i, j, start, length, elements, mark, lists, stamp):
                    owner[j] = i
                    weight[i] += weight[j]
                    weight[j], length[j] = 0, 0
                    after[last] = after[j]
                else:
                    last = j
                j = after[j]
            i = after[i]


def _close(me, begin, length, weight, degree, mark, head, after, before, lists, state, n):
    """File what is left of the new element by its degree; n variables are to be eliminated in all."""
    size, to, end = state[_SIZE], begin, begin + length[me]
    for t in range(begin, end):
        i = lists[t]
        if weight[i] == 0:
            continue
        weight[i] = -weight[i]
        degree[i] = min(degree[i] + size - weight[i], n - state[_DONE] - weight[i])
        _file(i, degree[i], head, after, before)
        state[_LEAST] = min(state[_LEAST], degree[i])
        lists[to] = i
        to += 1
    length[me], degree[me], state[_END], weight[me] = to - begin, size, to, 0
    if to == begin:
        mark[me] = -1


def _prepare(indptr, indices, dense, start, length, elements, weight, degree, owner, mark, head, after, before, lists,
             state):  # fmt: skip
    """Lists of a symmetric pattern without its diagonal, into the arrays after `dense`.

    Variables with more neighbours than `dense` are left out, and come last.
    """
    size, end = start.size, 0
    for i in range(size):
        head[i], after[i], before[i], owner[i], elements[i], mark[i] = -1, -1, -1, -1, 0, 1
        weight[i] = 0 if indptr[i + 1] - indptr[i] > dense else 1
        state[_FULL] += 1 - weight[i]
    state[_DONE], state[_LEAST], state[_STAMP] = 0, 0, 2
    for i in range(size):
        start[i] = end
        if weight[i] == 0:
            length[i], degree[i] = 0, 0
            continue
        for t in range(U(indptr[i]), U(indptr[i + 1])):
            j = indices[t]
            if j != i and weight[U(j)] > 0:
                lists[U(end)] = j
                end += 1
        length[i] = degree[i] = end - start[i]
        _file(i, degree[i], head, after, before)
    state[_END] = end


def _eliminate(start, length, elements, weight, degree, owner, mark, head, after, before, bucket, place, lists, spare,
               state, most):  # fmt: skip
    """Eliminate up to `most` variables of least degree, in place, all but the full ones; returns how many are left.

    The first of those that are eliminated together finds its position in `place`; the others have an owner.
    """
    n = start.size - state[_FULL]
    for _ in range(most):
        if state[_DONE] >= n:
            break
        while head[state[_LEAST]] < 0:
            state[_LEAST] += 1
        me = head[state[_LEAST]]
        _unfile(me, degree[me], head, after, before)
        if state[_END] + start.size > lists.size:
            _tidy(start, length, lists, spare, state)
        weight[me] = -weight[me]
        begin = _joined(me, start, length, elements, weight, degree, mark, head, after, before, lists, state)
        _examine(me, begin, start, length, elements, weight, degree, owner, mark, after, before, bucket, lists, state)
        end = begin + length[me]
        _merge(begin, end, start, length, elements, weight, owner, mark, after, before, bucket, lists, state)
        place[me] = state[_DONE]
        state[_DONE] -= weight[me]
        _close(me, begin, length, weight, degree, mark, head, after, before, lists, state, n)
    return n - state[_DONE]


def _finish(owner, place, bucket, full):
    """Positions of all variables into `place`, where those of the first of each group are; `full` ones come last."""
    n = place.size
    for i in range(n):
        if place[i] >= 0:
            bucket[i] = place[i] + 1
    last = n - full
    for i in range(n):
        if place[i] < 0 and owner[i] < 0:
            place[i] = last
            last += 1
        elif place[i] < 0:
            root = i
            while owner[root] >= 0:
                root = owner[root]
            place[i] = bucket[root]
            bucket[root] += 1


def ordered(indptr, indices, dense, most, space, ends, lists, spare, state):
    """Go on with an order of a symmetric pattern without its diagonal for up to `most` variables, in place.

    Returns how many are left. Once none is, the position of each variable is in the last row of `ends`.
    """
    start, length, elements, weight, degree, owner, mark, after, before = (
        space[0], space[1], space[2], space[3], space[4], space[5], space[6], space[7], space[8],
    )  # fmt: skip
    head, bucket, place = ends[0], ends[1], ends[2, : start.size]
    if state[_STAMP] == 0:
        _prepare(indptr, indices, dense, start, length, elements, weight, degree, owner, mark, head, after, before, lists,
                 state)  # fmt: skip
    left = _eliminate(start, length, elements, weight, degree, owner, mark, head, after, before, bucket, place, lists,
                      spare, state, most)  # fmt: skip
    if left == 0:
        _finish(owner, place, bucket, state[_FULL])
    return left
