"""Sweeps: one config with several values of some fields, a run for each, one table of all.

`grid.py` says which runs there are, `table.py` what came out, `launchers.py` hands runs to Slurm
and XManager. `experiments.sweep` puts them together.
"""
