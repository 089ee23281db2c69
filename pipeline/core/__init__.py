"""Hold what every other folder uses: commands, parameters, folders, hashes, arrays, and the rule for words."""
