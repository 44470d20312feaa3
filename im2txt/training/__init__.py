"""Training: one step, the loop around it, and its summaries."""
