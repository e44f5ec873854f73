"""A text from elsewhere as messages, logs and terminals show it: on one line, with control characters spelled out."""


def printable(text: str, longest: int | None = None) -> str:
    """The text, of one that is longer than `longest` its beginning and an ellipsis."""
    if longest is not None and len(text) > longest:
        text = text[:longest] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
