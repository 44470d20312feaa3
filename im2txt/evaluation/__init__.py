"""Evaluation of models by perplexity, captions and ranking."""
