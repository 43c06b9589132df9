"""Cityscapes (Section 3.4, Appendix D.3): files, and their builder."""
