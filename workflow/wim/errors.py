"""The exception whose message is meant for the user."""


class UserError(Exception):
    """Something that the user can correct.

    The message says where (file, row or key), what was found, and what to write instead;
    it is shown without a traceback.
    """
