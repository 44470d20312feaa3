"""Files of images to files of captions."""
