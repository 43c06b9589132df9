"""Your own images with any number of graders: checked, reported on, built."""
