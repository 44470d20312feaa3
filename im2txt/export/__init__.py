"""What export_model writes."""
