"""What a label means (Appendices C, D.1-D.3): targets, ignored pixels, hidden parts, crops."""
