"""Labels that a teacher gives to frames without any, as a labelled folder to train on."""
