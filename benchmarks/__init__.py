"""How fast and how exact things are, measured: run by hand, never by the tests."""
