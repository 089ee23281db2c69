"""The ground that everything stands on: commands, parameters, folders, hashes, arrays, and what a word is."""
