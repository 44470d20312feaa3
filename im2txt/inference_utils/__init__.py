"""Vocabulary and the readable reference of the caption search."""
