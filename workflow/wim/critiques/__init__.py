"""Rewards that read what a critique says: its sentences, its vector, and several of one response."""
