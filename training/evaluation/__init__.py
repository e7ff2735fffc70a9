"""Scores on a validation set: masks, contours, boxes, calibration, agreement with the teacher."""
