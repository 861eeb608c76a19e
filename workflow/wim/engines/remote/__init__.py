"""Models run by servers. All code here decides the keys of answers.

It makes the requests and reads the responses; it imports `wim.engines.transport`, which carries
them, and is not imported by it.
"""
