"""Programs: parse flags, call the library, write files."""
