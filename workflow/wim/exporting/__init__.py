"""Pairs, completions and ratings in the formats of other trainers, and as a data set."""
