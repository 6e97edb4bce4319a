"""The verbs of the command line, one module each: arguments and one call, imported late."""
