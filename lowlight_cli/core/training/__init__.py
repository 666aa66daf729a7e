"""Networks learn from pairs: the engine, its runs, and what it hands them at each step."""
