"""Files of other evaluations, read and written: AlpacaEval, FastChat, Arena-Hard."""
