"""Say what a text is: one rule for networks and n-grams, in training and ever after; and count things in words."""

LINE_BREAK = "<br */?>"  # of web pages, as the raw reviews of IMDB have them; in lower case


def valid_unicode(text: str) -> str:
    """Put `?` in place of every lone surrogate: half of an emoji, as JSON can hold it, fits into no file and no model.

    >>> valid_unicode("fine \\ud83d film")
    'fine ? film'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def counted(number: int, thing: str) -> str:
    """Say how many there are of a thing whose plural ends in s.

    >>> counted(1, "text"), counted(1200, "text")
    ('1 text', '1,200 texts')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
