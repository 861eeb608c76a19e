"""How far a judge or a reward is to be trusted: its verdicts beside those of people."""
