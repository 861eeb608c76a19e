"""How critiques name a lack, by language: words beside those of `wim.judging.phrases`.

A file for each language, with one regular expression of the library `regex` a line, matched without
regard to case in a sentence without markup, with straight quotes and single spaces. The keys:

- spaced: whether words are divided by spaces. If so, an expression consists of whole words.
- none: what sounds like a lack and is none ("not only", "no errors"); it is left out first.
- lacks: words by which a sentence names a lack.
"""
