"""The two values that stand for a pixel of which nothing is to be learnt or scored."""

IGNORED = 255
"""In the uint8 maps of data sets, graders and files. A grader whose whole plane is ignored did not
annotate the image."""

NO_TARGET = -1
"""In int32 targets of training (`tasks.targets`), whose classes may be more than 255."""
