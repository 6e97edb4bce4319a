"""Value types and geometry shared by every part; numpy, PyYAML and the standard library only."""
