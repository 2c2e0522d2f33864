"""Features and neurons: held-out error of k features, accuracy of forests and networks, proofs, CPU seconds."""
