"""Helpers of several tests: tiny models, synthetic data, fakes and faults."""
