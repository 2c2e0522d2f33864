"""The perspective relaxation under linear rows, by operator splitting.

    minimise  w'Rw / 2 - q'w + sum_j h_j(w_j, z_j)   over  row_lower <= A w <= row_upper,  0 <= z <= 1,  sum z <= room

where h(w, z) = curve w**2 / (2 z) + l1 |w| + alpha z with lower z <= w <= upper z: a part z of the choice holds a part of
the coefficient. One factor of R + P + A'SA, with a metric P and weights S of the rows, serves all nodes of a tree that
have not many features less (Boyd et al., 2011; Stellato et al., 2020). The room is kept by a price of z.

Every w, with multipliers y of the rows and t = q - Rw - A'y, proves the lower bound

    -w'Rw/2 - sum_i max(y_i row_lower_i, y_i row_upper_i) - sum of what is in and of the largest (gain_j(t_j) - alpha)
"""

from sparseopt._jit import kernel
from sparseopt.kernels.perspective import U, fix_known, gain, profits_of

# Steps of the search for the price in one iteration.
_PRICES = 8


def side_of(force, lower, upper):
    """The sizes of a nonzero coefficient on the side to which a force pulls: least, largest, and its sign; none if largest < least."""
    if upper > 0.0 and (force > 0.0 or lower > 0.0):
        return max(lower, 0.0), upper, 1.0
    if lower < 0.0:
        return max(-upper, 0.0), -lower, -1.0
    return 1.0, 0.0, 1.0


def part_of(force, metric, price, curve, l1, lower, upper):
    """The part z of a choice, the coefficient that goes with it, and minus the derivative of z in the price.

    They minimise metric w**2 / 2 - force w + h(w, z) with `price` for alpha.
    """
    least, largest, sign = side_of(force, lower, upper)
    pull = sign * force - l1
    if largest < least or not pull > 0.0:
        return 0.0, 0.0, 0.0
    # h falls in z until w / z has this size
    size = (2.0 * price / curve) ** 0.5 if curve * largest * largest > 2.0 * price else largest
    is_held = size >= largest or size <= least
    size = max(size, least)
    if not size > 0.0:
        return 1.0, sign * min(pull / (metric + curve), largest), 0.0
    rest = pull - price / size - 0.5 * curve * size
    if not rest > 0.0:
        return 0.0, 0.0, 0.0
    if rest >= metric * size:
        return 1.0, sign * min(max(pull / (metric + curve), size), largest), 0.0
    w = rest / metric
    return w / size, sign * w, 1.0 / (metric * size * size) if is_held else pull / (2.0 * metric * price * size)


def held_part(force, metric, curve, l1, lower, upper):
    """The coefficient of what is in: it minimises metric w**2 / 2 - force w + curve w**2 / 2 + l1 |w| in its bounds."""
    size = abs(force) - l1
    w = size / (metric + curve) if size > 0.0 else 0.0
    return min(max(w if force > 0.0 else -w, lower), upper)


def total_part(force, metric, price, curve, l1, lower, upper, status):
    """The sum of the parts of free features, and minus its derivative in the price."""
    total, fall = 0.0, 0.0
    for i in range(force.size):
        j = U(i)
        if status[j] == 0:
            z, _, d = part_of(force[j], metric[j], price, curve[j], l1, lower[j], upper[j])
            total += z
            fall += d
    return total, fall


def price_of(force, metric, price, alpha, curve, l1, lower, upper, status, room):
    """The price, at least alpha, at which the parts add up to the room; begun at `price`."""
    low, high = alpha, 1e300
    for _ in range(_PRICES):
        total, fall = total_part(force, metric, price, curve, l1, lower, upper, status)
        if abs(total - room) <= 1e-4 * room or (total <= room and price <= alpha):
            break
        if total > room:
            low = price
        else:
            high = price
        price = price + (total - room) / fall if fall > 0.0 else 0.0
        if not low < price < high:
            price = 0.5 * (low + high) if high < 1e300 else 2.0 * low + 1e-300
        if high <= alpha:
            return alpha
    return price


def split(  # noqa: PLR0912 (one iteration in one piece)
    count, inverse, metric, A, weight, row_lower, row_upper, linear, curve, l1, lower, upper, status, room, alpha, relax,
    price, w, v, u, z, y, r, rhs
):  # fmt: skip
    """Iterations from (v, u, y, r), in place, with w, z, and rhs for scratch; returns the price."""
    n, m = w.size, y.size
    for _ in range(count):
        for i in range(n):
            j = U(i)
            rhs[j] = linear[j] - u[j] + metric[j] * v[j]
        for i in range(m):
            a = U(i)
            push = weight[a] * r[a] - y[a]
            for k in range(n):
                rhs[U(k)] += push * A[a, U(k)]
        for i in range(n):
            total = 0.0
            for k in range(n):
                total += inverse[U(i), U(k)] * rhs[U(k)]
            w[U(i)] = total
        # what the prox is taken of, in units of the slope
        for i in range(n):
            j = U(i)
            rhs[j] = metric[j] * (relax * w[j] + (1.0 - relax) * v[j]) + u[j]
        if room > 0:
            price = price_of(rhs, metric, price, alpha, curve, l1, lower, upper, status, room)
        for i in range(n):
            j = U(i)
            if status[j] == 1:
                v[j], z[j] = held_part(rhs[j], metric[j], curve[j], l1, lower[j], upper[j]), 1.0
            elif status[j] == 0 and room > 0:
                z[j], v[j], _ = part_of(rhs[j], metric[j], price, curve[j], l1, lower[j], upper[j])
            else:
                v[j], z[j] = 0.0, 0.0
            u[j] = rhs[j] - metric[j] * v[j]
        for i in range(m):
            a = U(i)
            total = 0.0
            for k in range(n):
                total += A[a, U(k)] * w[U(k)]
            total = relax * total + (1.0 - relax) * r[a]
            # in this order y is zero, without rounding, where neither side is reached
            total += y[a] / weight[a]
            r[a] = min(max(total, row_lower[a]), row_upper[a])
            y[a] = weight[a] * (total - r[a])
    return price


def row_support(y, row_lower, row_upper):
    """sum_i max(y_i row_lower_i, y_i row_upper_i), and the sum of their sizes; inf where one pulls on an infinite side."""
    total, size = 0.0, 0.0
    for i in range(y.size):
        a = U(i)
        if y[a] != 0.0:
            side = y[a] * (row_upper[a] if y[a] > 0.0 else row_lower[a])
            total += side
            size += abs(side)
    return total, size


def pull_of(R, A, linear, row_lower, row_upper, w, y, pull, image):
    """Pull t = q - Rw - A'y into `pull`; returns -w'Rw/2 less what the rows allow, and the size of the sums."""
    n, m = w.size, y.size
    for i in range(n):
        image[U(i)] = 0.0
    for k in range(n):
        step = w[U(k)]
        if step != 0.0:
            for i in range(n):
                image[U(i)] += step * R[U(k), U(i)]
    curved, size = 0.0, 0.0
    for i in range(n):
        j = U(i)
        curved += w[j] * image[j]
        size += abs(w[j] * image[j])
        pull[j] = linear[j] - image[j]
    for i in range(m):
        a = U(i)
        if y[a] != 0.0:
            for k in range(n):
                pull[U(k)] -= y[a] * A[a, U(k)]
    allowed, more = row_support(y, row_lower, row_upper)
    return -0.5 * curved - allowed, 0.5 * size + more


def relaxed_value(linear, pull, A, y, v, z, curve, l1, alpha, status, row_lower, row_upper):
    """-q'v + v'Rv/2 + h(v, z), for the pull at v, and what the rows that v misses would cost at their multipliers."""
    total = 0.0
    for k in range(y.size):
        a, image = U(k), 0.0
        for i in range(v.size):
            image += A[a, U(i)] * v[U(i)]
        total += abs(y[a]) * max(row_lower[a] - image, image - row_upper[a], 0.0)
    for i in range(v.size):
        j = U(i)
        if v[j] == 0.0 and status[j] != 1:
            continue
        back = 0.0
        for k in range(y.size):
            back += y[U(k)] * A[U(k), j]
        image = linear[j] - pull[j] - back
        total += v[j] * (0.5 * image - linear[j]) + l1 * abs(v[j]) + alpha * z[j]
        if v[j] != 0.0:
            total += 0.5 * curve[j] * v[j] * v[j] / z[j]
    return total


def bound_of(
    features, constant, R, sizes, rounding, heap, gains, pull, A, row_lower, row_upper, linear, curve, l1, lower, upper,
    status, alpha, w, y, image,
):  # fmt: skip
    """The bound that w, without what is out, and y prove, the least profit that was chosen and the next; all are left in `gains`."""
    length = 0.0
    for i in range(w.size):
        j = U(i)
        if status[j] == -1:
            w[j] = 0.0
        length += abs(w[j]) * sizes[j]
    base, size = pull_of(R, A, linear, row_lower, row_upper, w, y, pull, image)
    total, error, least, last = profits_of(
        features, pull, sizes, status, curve, l1, lower, upper, alpha, rounding * length, 0.0, 0.0, heap,
        gains,
    )  # fmt: skip
    slack = error + rounding * (size + abs(constant)) + 1e-15 * abs(total)
    bound = constant + base - total - slack
    return bound if abs(bound) < 1e300 else -1e400, least, last


@kernel
def judge_node(
    threshold, fixes, features, constant, R, sizes, rounding, heap, gains, pull, A, row_lower, row_upper, linear, curve, l1,
    lower, upper, status, alpha, w, y, image,
):  # fmt: skip
    """The bound that w and y prove; below the threshold features that it decides are fixed in `status`. Also returns how many."""
    bound, least, last = bound_of(
        features, constant, R, sizes, rounding, heap, gains, pull, A, row_lower, row_upper, linear, curve, l1, lower,
        upper, status, alpha, w, y, image,
    )  # fmt: skip
    if bound == -1e400 or bound >= threshold or heap.size == 1 or not fixes:
        return bound, 0
    kept, removed = fix_known(features, gains, status, bound, least, last, threshold)
    return bound, kept + removed


@kernel
def work_on_node(
    most, look, known, exact, threshold, features, constant, R, sizes, rounding, heap, gains, pull, best, best_w, best_y,
    inverse, metric, A, weight, row_lower, row_upper, linear, curve, l1, lower, upper, status, room, alpha, relax,
    price, w, v, u, z, y, r, rhs,
):  # fmt: skip
    """Iterations of a node, in place, with a look at its bound every `look` of them; the point of the best goes into best_w and best_y.

    They end where the bound reaches the threshold, or where the value of the relaxation is below it and known to a part
    `known` of what the bound misses. Returned are the price, the bound, the value, and the number of iterations.
    """
    done, value = 0, 1e400
    while done < most:
        price = split(
            look, inverse, metric, A, weight, row_lower, row_upper, linear, curve, l1, lower, upper, status, room, alpha,
            relax, price, w, v, u, z, y, r, rhs,
        )  # fmt: skip
        done += look
        bound, _, _ = bound_of(
            features, constant, R, sizes, rounding, heap, gains, pull, A, row_lower, row_upper, linear, curve, l1, lower, upper, status,
            alpha, w, y, rhs,
        )  # fmt: skip
        if bound > best:
            best = bound
            for i in range(w.size):
                best_w[U(i)] = w[U(i)]
            for i in range(y.size):
                best_y[U(i)] = y[U(i)]
        if best >= threshold:
            break
        pull_of(R, A, linear, row_lower, row_upper, v, y, pull, rhs)
        value = constant + relaxed_value(linear, pull, A, y, v, z, curve, l1, alpha, status, row_lower, row_upper)
        if value < threshold and value - best <= max(known * (threshold - best), exact):
            break
    return price, best, value, done


@kernel
def ray_value(A, y, row_lower, row_upper, lower, upper, status, room, heap, pull):
    """What the multipliers y miss of admitting a point of a node: positive where they prove that there is none.

    Also the size of the sums. `heap` has as many places as may still come in, and `pull` is scratch.
    """
    n = pull.size
    allowed, size = row_support(y, row_lower, row_upper)
    total = 0.0
    for i in range(heap.size):
        heap[U(i)] = 0.0
    for i in range(n):
        j = U(i)
        if status[j] == -1:
            continue
        pull[j], parts = 0.0, 0.0
        for k in range(y.size):
            pull[j] -= y[U(k)] * A[U(k), j]
            parts += abs(y[U(k)] * A[U(k), j])
        if abs(pull[j]) <= 1e-12 * parts:
            pull[j] = 0.0
        profit = gain(pull[j], 0.0, 0.0, lower[j], upper[j]) if pull[j] != 0.0 else 0.0
        if status[j] == 1:
            total += profit
            size += abs(profit)
        elif room > 0 and profit > heap[0]:
            # places are few: the least of them is sought anew each time
            total += profit - heap[0]
            size += profit
            heap[0] = profit
            least = 0
            for k in range(1, heap.size):
                if heap[U(k)] < heap[U(least)]:
                    least = k
            heap[0], heap[U(least)] = heap[U(least)], heap[0]
    return -allowed - total, size
