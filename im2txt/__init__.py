"""Show and Tell: a neural image caption generator."""
