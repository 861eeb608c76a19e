"""Engines answer requests through one interface (`base`), however the model is run.

Upwards: `base` and `special_tokens`, which every engine uses; `transport`, which carries a request
to a server and its response back; `local` and `remote`, whose code decides an answer;
`reward_model_engine`; `staged`; and the stores of answers, `stored` and `stored_scores`, on top.
"""
