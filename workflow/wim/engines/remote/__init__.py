"""Models run by servers. All code here is part of the keys of their answers.

It makes the requests and reads the responses; it imports `wim.engines.transport`, which carries
them, and is not imported by it.
"""
