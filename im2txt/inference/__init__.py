"""Models that caption, and captions as people use them."""
