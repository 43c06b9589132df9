"""SNEMI3D (Section 3.3, Appendix D.2): stacks, and their builder."""
