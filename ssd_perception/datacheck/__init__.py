"""Check a data set before training on it: every file, box and class, with a report."""
