"""One text as trained networks read it: numbers, pictures, a page."""
