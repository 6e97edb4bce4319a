"""Value types and geometry shared by every part; numpy and the standard library only."""
