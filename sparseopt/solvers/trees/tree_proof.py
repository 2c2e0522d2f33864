"""The proof that a search of a tree leaves behind, as `Certificate.verify` checks it."""

from __future__ import annotations

from sparseopt.proofs.bound_tree import BoundTree, ProofNode


def proof_of(tree) -> BoundTree | None:
    """The nodes of a tree with their points, open ones as leaves with the bound they have; None where they were not kept."""
    if not tree.keep_proof:
        return None
    place = {id(node): position for position, node in enumerate(tree.nodes)}
    inner = {id(node.parent) for node in tree.nodes}
    nodes = []
    for node in tree.nodes:
        points, removed, kept = zip(*node.points, strict=True) if node.points else ((), (), ())
        parent = -1 if node.parent is None else place[id(node.parent)]
        nodes.append(ProofNode(parent, node.unit, node.is_in, points, removed, kept, id(node) not in inner))
    return BoundTree(tuple(nodes), float(tree.lower_bound), tree.relaxation.moved)
