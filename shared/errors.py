"""The one exception that is a message to the user: what was given, what is wrong with it, what to do."""


class InputError(Exception):
    """Something the user gave cannot be used. The text is one line and names the thing, the reason, the way out.

    Command lines print it as ``wavenet: error: TEXT`` and end with exit code 1; no traceback.
    """
