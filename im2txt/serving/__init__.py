"""A server that captions images, and its page."""
