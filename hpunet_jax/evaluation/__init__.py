"""Appendix B: one protocol for each task, and the scores of each image."""
