"""Losses that a person or a model writes: text that is read, and never executed as Python.

`parse` reads a function's text into a `Formula`, of a short list of functions and operators; anything
else is refused. `interpret` computes a formula's values with torch. There is no way from a text to
Python's own evaluation: no name is looked up outside the formula's own, no attribute is read, and
nothing in the list makes a tensor larger than a batch.
"""
