"""Labelled images on disk, and what training does to them before the network."""
