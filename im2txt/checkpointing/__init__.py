"""Checkpoints: read, written, converted, extended."""
