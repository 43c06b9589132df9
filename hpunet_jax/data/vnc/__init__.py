"""Micrographs of neural tissue (Gerhard et al., 2013): sections, and their builder."""
