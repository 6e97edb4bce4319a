"""Images of messages and files as RGB arrays: the same for live messages and recorded ones."""
