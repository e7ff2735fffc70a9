"""The classes of each data set, one file a family; `training.data.class_sets` finds them by name."""
