"""What aejax raises when the input, not the code, is wrong."""


class InputError(ValueError):
    """Input that cannot be used: its message is one sentence that says what came, what was expected and what to do.

    The command line prints the message alone and exits with code 2.
    """
