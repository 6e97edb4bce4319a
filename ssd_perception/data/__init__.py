"""Pictures with boxes on disk, and what training does to them before the network."""
