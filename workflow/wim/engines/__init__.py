"""Engines answer requests: one interface, however the model is run."""
