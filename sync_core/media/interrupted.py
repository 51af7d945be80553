"""How reading a remote file ends when nobody waits for it."""


class Interrupted(Exception):
    """Nobody waits for the file any more."""
