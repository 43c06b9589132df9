"""LIDC "v1": the 15,096 slices that most papers since 2020 use, from a pickle or HDF5."""
