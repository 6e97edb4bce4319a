"""COCO's layout: one JSON file for a split; boxes keep their fractions and scores."""

from __future__ import annotations

from collections.abc import Sequence

from ssd_perception.mining.picture import Picture


def instances(pictures: Sequence[Picture], class_names: Sequence[str]) -> dict:
    """Return the content of ``instances_SPLIT.json``; ids count from 1, as COCO's do."""
    category = {name: number for number, name in enumerate(class_names, 1)}
    annotations: list[dict] = []
    for image, picture in enumerate(pictures, 1):
        for box, name, score in zip(picture.xyxy.tolist(), picture.names, picture.scores):
            x0, y0, x1, y1 = (round(value, 2) for value in box)
            width, height = round(x1 - x0, 2), round(y1 - y0, 2)
            annotations.append({
                'id': len(annotations) + 1, 'image_id': image, 'category_id': category[name],
                'bbox': [x0, y0, width, height], 'area': round(width * height, 2), 'iscrowd': 0,
                'segmentation': [], 'score': round(score, 4)})
    return {
        'images': [{'id': number, 'file_name': picture.file, 'width': picture.width,
                    'height': picture.height} for number, picture in enumerate(pictures, 1)],
        'annotations': annotations,
        'categories': [{'id': number, 'name': name, 'supercategory': ''}
                       for name, number in category.items()]}
