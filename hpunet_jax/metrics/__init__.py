"""Arrays in, numbers out (Appendix B): how well samples agree with graders and instances."""
