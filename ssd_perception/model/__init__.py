"""The network in torch: backbones, pyramid, heads, and their weights file."""
