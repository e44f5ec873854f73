"""External text for messages, logs and terminals: on one line, with control characters escaped."""


def printable(text: str, longest: int | None = None) -> str:
    """The text with control characters escaped, cut after `longest` characters with an ellipsis."""
    if longest is not None and len(text) > longest:
        text = text[:longest] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
