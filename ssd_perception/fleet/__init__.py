"""Many recordings: one after the other or on Ray, resumed as a whole, and one page about all."""
