"""Pictures as cameras send them, to RGB arrays: the same for live messages and recorded ones."""
