"""Appendix B: how well samples agree with the annotators, and how it is reported."""
