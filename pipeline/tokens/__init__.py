"""Turn text into padded token ids, and make word vectors."""
