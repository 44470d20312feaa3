"""Scores of captions, and pages to look at them."""
