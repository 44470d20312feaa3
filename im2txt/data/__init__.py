"""From captions and images to TFRecords."""
