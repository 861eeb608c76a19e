"""Models run by transformers in this process. All code here is part of the keys of their answers."""
