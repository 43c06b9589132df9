"""Compiled programs: a cache on disk, whether they fit the memory, what they cost on TPUs."""
