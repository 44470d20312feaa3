"""The formats of export_model."""
