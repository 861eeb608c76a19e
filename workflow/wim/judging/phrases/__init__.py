"""How judges say that nothing is missing, make an exception to it, or refuse, by language.

A file for each language, with one regular expression of the library `regex` a line. They are
matched without regard to case, against text without markup, with straight quotes and single
spaces; Arabic without vowel signs and with one kind of alif, ya and ha. `<name>` stands for one of
the language's `parts`. The keys:

- spaced: whether words are divided by spaces. If so, a phrase consists of whole words.
- alone: words that say, alone, that nothing is missing.
- labels: headings in front of a critique, as in "What is missing: nothing".
- openers: words in front of a claim or a refusal that change nothing of it.
- nothing_missing: phrases that a critique opens with if nothing is missing.
- exceptions: behind them in the same sentence, words by which something is missing after all.
- turns: the same at the start of the next sentence; lacks: a lack, named in that sentence or a later one.
- apologies: what may be in front of a refusal, and alone is one; joins: what links the two.
- unable: a refusal behind an apology; refusals: one without; reasons: what makes a
  critique of either, as a lack named in the same sentence is what the judge complains of.

What they say is part of the code of the stages that read critiques, and an edit reruns these.
"""
