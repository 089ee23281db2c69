"""Text to padded token ids, and word vectors."""
