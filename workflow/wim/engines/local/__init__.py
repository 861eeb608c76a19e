"""Models run by transformers in this process. All code here decides the keys of answers."""
