"""What is a word and what is not: one rule for networks and n-grams, in training and ever after."""

WORD = r"[\w']+"  # a run of letters, digits, `_` and apostrophes; everything else separates
LINE_BREAK = "<br */?>"  # of web pages, as the raw reviews of IMDB have them; in lower case
