"""How good Detections are: VOC and COCO average precision."""
