"""Drawing on images, plots, pages and videos: arrays in, files out."""
