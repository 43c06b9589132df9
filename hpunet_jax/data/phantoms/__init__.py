"""Generated data sets that need no download: LIDC with simulated CT, neurites, streets."""
