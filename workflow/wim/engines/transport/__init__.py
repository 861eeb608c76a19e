"""How a request gets to a server and its response back. Nothing here decides what an answer is.

No code here is part of the keys of stored answers, so that an edit computes none again. It imports
nothing from `wim.engines.remote`, which hands it functions that parse and read a response.
"""
