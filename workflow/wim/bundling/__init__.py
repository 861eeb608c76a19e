"""A run packed for a machine without internet: `wim bundle` and `wim unpack`."""
