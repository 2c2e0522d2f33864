"""Parts of branch and bound: the tree, its nodes, and relaxations that bound them."""
