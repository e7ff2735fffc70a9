"""A recorded drive through the perception stack: bags in, metrics and a report out."""
