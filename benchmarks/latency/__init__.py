"""What a user waits for before the first result: imports, compilation, loading of compiled code."""
