"""How far judges and rewards can be trusted: what they say compared with what people say."""
