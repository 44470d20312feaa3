"""TensorFlow functions of the model, without flags or configuration."""
