"""The page on which a person chooses among hypotheses and moves latents (Section 5)."""
