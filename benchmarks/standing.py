"""Where we stand: on each problem of a suite ours beside the best peer, and how often ours is the faster one."""

#: The rows that count as ours, in this order; a race of one method has no default.
OURS = ("sparseopt[default]", "sparseopt[FISTA]")


def problems(rows):
    """The rows of each problem and target."""
    found = {}
    for row in rows:
        found.setdefault((row["dataset"], row["alpha"], row["target"]), []).append(row)
    return found


def is_peer(row):
    """Whether a row is that of another library."""
    return not row["solver"].startswith("sparseopt")


def compared(problem, rows):
    """Ours beside the fastest peer; where none has reached the target, beside the one that came nearest."""
    dataset, alpha, target = problem
    ours = min((row for row in rows if row["solver"] in OURS), key=lambda row: OURS.index(row["solver"]), default=None)
    peers = [row for row in rows if is_peer(row)]
    best = min((row for row in peers if row["CPU s"]), key=lambda row: row["CPU s"], default=None)
    nearest = min((row for row in peers if row.get("reached")), key=lambda row: row["reached"], default=None)
    own = ours and ours["CPU s"]
    return {
        "problem": f"{dataset}, {alpha}",
        "to": f"{target:g}",
        "sparseopt s": own or _fell_short(ours),
        "best peer": best["solver"]
        if best
        else f"none; {nearest['solver']} {_fell_short(nearest)}"
        if nearest
        else "none",
        "its s": best["CPU s"] if best else None,
        "times as fast": best["CPU s"] / own if own and best else None,
    }


def _fell_short(row):
    """In words, how far a solver has come that has not reached the target."""
    if row is None or not row.get("reached"):
        return "not reached"
    return f"at {row['reached']:.1g} after {row['single run s']:.2g} s"


def score(rows):
    """One row that counts: problems, wins, and where ours is slowest beside the best peer."""
    pairs = [compared(problem, group) for problem, group in problems(rows).items()]
    ratios = {f"{pair['problem']} to {pair['to']}": pair["times as fast"] for pair in pairs if pair["times as fast"]}
    slowest = min(ratios, key=ratios.get, default=None)
    is_reached = [isinstance(pair["sparseopt s"], float) for pair in pairs]
    return {
        "problems": len(pairs),
        "both reach the target": len(ratios),
        "ours is faster": sum(ratio > 1.0 for ratio in ratios.values()),
        "ours alone reaches it": sum(ours and not pair["its s"] for ours, pair in zip(is_reached, pairs, strict=True)),
        "a peer alone reaches it": sum(
            bool(not ours and pair["its s"]) for ours, pair in zip(is_reached, pairs, strict=True)
        ),
        "lowest times as fast": ratios.get(slowest),
        "where": slowest,
    }
