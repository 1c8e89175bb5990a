"""How a command fails."""


class CommandError(Exception):
    """A command could not do its work; the text is one line with the remedy."""


class WrongUseError(CommandError):
    """The command was called with arguments that make no sense together."""
