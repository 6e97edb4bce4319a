"""Shapes: vertices and faces put together from boxes, lofts and tubes, then handed to Blender."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np


class Shape:
    """A mesh under construction; every face remembers the material it wants."""

    def __init__(self) -> None:
        self.vertices = []
        self.faces = []
        self.face_materials = []
        self.materials = []

    def _add(self, vertices: Any, faces: list, material: bpy.types.Material) -> None:
        first = len(self.vertices)
        self.vertices += [tuple(map(float, v)) for v in vertices]
        self.faces += [tuple(first + i for i in face) for face in faces]
        if material not in self.materials:
            self.materials.append(material)
        self.face_materials += [self.materials.index(material)] * len(faces)

    def box(self, centre: Any, size: Any, material: bpy.types.Material, yaw: float = 0.0) -> None:
        """Add a box of `size` (x, y, z) around `centre`, turned by `yaw` around the vertical."""
        signs = np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)])
        corners = signs * np.asarray(size) / 2
        c, s = math.cos(yaw), math.sin(yaw)
        corners = corners @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + centre
        faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3),
                 (0, 4, 6, 2), (1, 3, 7, 5)]
        self._add(corners, faces, material)

    def loft(self, rings: Sequence[tuple[float, float, float]], material: bpy.types.Material,
             segments: int = 48, close_start: bool = False, close_end: bool = False) -> None:
        """Join rings (radius, squareness exponent, z): 2 is a circle, 12 a rounded square."""
        angle = np.arange(segments) * 2 * math.pi / segments
        cos, sin = np.cos(angle), np.sin(angle)
        vertices, faces = [], []
        for radius, exponent, z in rings:
            r = radius * (np.abs(cos) ** exponent + np.abs(sin) ** exponent) ** (-1 / exponent)
            vertices += list(zip(r * cos, r * sin, np.full(segments, z)))
        for ring in range(len(rings) - 1):
            for i in range(segments):
                j = (i + 1) % segments
                a, b = ring * segments, (ring + 1) * segments
                faces.append((a + i, a + j, b + j, b + i))
        if close_start:
            faces.append(tuple(reversed(range(segments))))
        if close_end:
            faces.append(tuple(range((len(rings) - 1) * segments, len(rings) * segments)))
        self._add(vertices, faces, material)

    def tube(self, points: np.ndarray, radius: float, material: bpy.types.Material,
             segments: int = 10) -> None:
        """Add a tube that follows `points` (n, 3): legs, pipes, cables, arms."""
        points = np.asarray(points, float)
        tangents = np.gradient(points, axis=0)
        vertices, faces = [], []
        angle = np.arange(segments) * 2 * math.pi / segments
        for point, tangent in zip(points, tangents):
            tangent = tangent / np.linalg.norm(tangent)
            # Any vector that is not parallel to the tangent spans the cross section.
            helper = (0, 0, 1) if abs(tangent[2]) < 0.9 else (1, 0, 0)
            u = np.cross(tangent, helper)
            u /= np.linalg.norm(u)
            v = np.cross(tangent, u)
            vertices += list(point + radius * (np.outer(np.cos(angle), u)
                                               + np.outer(np.sin(angle), v)))
        for ring in range(len(points) - 1):
            for i in range(segments):
                j = (i + 1) % segments
                a, b = ring * segments, (ring + 1) * segments
                faces.append((a + i, a + j, b + j, b + i))
        last = (len(points) - 1) * segments
        faces.append(tuple(reversed(range(segments))))
        faces.append(tuple(range(last, last + segments)))
        self._add(vertices, faces, material)

    def sheet(self, corners: Any, material: bpy.types.Material) -> None:
        """Add one flat polygon."""
        self._add(corners, [tuple(range(len(corners)))], material)

    def ball(self, centre: Any, radii: Any, material: bpy.types.Material,
             segments: int = 24) -> None:
        """Add an ellipsoid; radii are (x, y, z)."""
        rings = segments // 2
        vertices, faces = [], []
        for i in range(rings + 1):
            polar = math.pi * i / rings
            for k in range(segments):
                turn = 2 * math.pi * k / segments
                vertices.append(np.array([math.sin(polar) * math.cos(turn),
                                          math.sin(polar) * math.sin(turn),
                                          math.cos(polar)]) * radii + centre)
        for i in range(rings):
            for k in range(segments):
                n = (k + 1) % segments
                faces.append((i * segments + k, (i + 1) * segments + k,
                              (i + 1) * segments + n, i * segments + n))
        self._add(vertices, faces, material)

    def grid(self, points: np.ndarray, material: bpy.types.Material) -> None:
        """Add a curved sheet through `points` (rows, columns, 3)."""
        rows, columns, _ = points.shape
        faces = [(r * columns + c, r * columns + c + 1, (r + 1) * columns + c + 1,
                  (r + 1) * columns + c) for r in range(rows - 1) for c in range(columns - 1)]
        self._add(points.reshape(-1, 3), faces, material)

    def build(self, name: str, smooth_deg: float = 35.0, bevel_m: float = 0.0) -> bpy.types.Object:
        """Make the Blender object; edges sharper than `smooth_deg` stay sharp."""
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(self.vertices, [], self.faces)
        for material in self.materials:
            mesh.materials.append(material)
        mesh.polygons.foreach_set('material_index', self.face_materials)
        mesh.polygons.foreach_set('use_smooth', [True] * len(self.faces))
        mesh.set_sharp_from_angle(angle=math.radians(smooth_deg))
        mesh.update()
        thing = bpy.data.objects.new(name, mesh)
        bpy.context.scene.collection.objects.link(thing)
        if bevel_m:
            # Perfectly sharp edges are what gives a rendered box away.
            bevel = thing.modifiers.new('bevel', 'BEVEL')
            bevel.width, bevel.segments, bevel.limit_method = bevel_m, 2, 'ANGLE'
        return thing
