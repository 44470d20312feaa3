"""HTML reports: images with their captions, to open in a browser."""
