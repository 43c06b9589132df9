"""LIDC-IDRI (Appendices A and D.1): scans and readings, the published crops, and their builder."""
