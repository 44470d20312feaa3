"""Training: a step, a run, and what it tells of itself."""
