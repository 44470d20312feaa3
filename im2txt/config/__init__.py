"""The fields of the configuration, and presets of them."""
