"""One ml_collections config for each experiment of the paper, and the demos."""
