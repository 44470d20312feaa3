"""What several tests share: a tiny model and tiny data."""
