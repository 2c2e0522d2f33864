"""Parts of working sets: their columns, models of the loss on them, and how these are minimised."""
