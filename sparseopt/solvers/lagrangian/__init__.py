"""Parts of the augmented Lagrangian: its state, its steps and its inner model."""
