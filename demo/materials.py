"""Surface materials made of procedural shader nodes; colours are linear RGB."""

from __future__ import annotations

from typing import Any

import bpy
import cv2
import numpy as np

from demo.palette import Colour


class Graph:
    """A short way to write a node graph: each call adds a node and links its inputs."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.principled = self.tree.nodes['Principled BSDF']

    def node(self, kind: str, settings: dict[str, Any] | None = None,
             **inputs: Any) -> bpy.types.Node:
        """Add a node `ShaderNode<kind>`; inputs are values, colours or output sockets."""
        node = self.tree.nodes.new('ShaderNode' + kind)
        for key, value in (settings or {}).items():
            setattr(node, key, value)
        self.connect(node, **inputs)
        return node

    def connect(self, node: bpy.types.Node, **inputs: Any) -> None:
        """Set inputs by name; an underscore stands for a space, and A_1 means input number 1."""
        for key, value in inputs.items():
            if key.startswith('i_'):
                socket = node.inputs[int(key[2:])]
            else:
                socket = node.inputs[key.replace('_', ' ')]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif isinstance(value, (tuple, list, np.ndarray)) and len(value) == 3 \
                    and socket.type == 'RGBA':
                socket.default_value = (*value, 1.0)
            else:
                socket.default_value = value

    def position(self, stretch: tuple[float, float, float] = (1, 1, 1),
                 turn: float = 0.0) -> bpy.types.NodeSocket:
        """Return the object's own coordinates in metres, stretched and turned."""
        where = self.node('TexCoord').outputs['Object']
        return self.node('Mapping', Vector=where, Scale=stretch,
                         Rotation=(0, 0, turn)).outputs['Vector']

    def noise(self, vector: Any, scale: float, detail: float = 2.0,
              roughness: float = 0.5) -> bpy.types.NodeSocket:
        """Return a fractal noise value around 0.5."""
        return self.node('TexNoise', Vector=vector, Scale=scale, Detail=detail,
                         Roughness=roughness).outputs['Fac']

    def ramp(self, value: Any, low: float, high: float, to_low: float = 0.0,
             to_high: float = 1.0) -> bpy.types.NodeSocket:
        """Map low..high to to_low..to_high, clamped."""
        return self.node('MapRange', i_0=value, i_1=low, i_2=high, i_3=to_low,
                         i_4=to_high).outputs[0]

    def mix(self, factor: Any, a: Any, b: Any, blend: str = 'MIX') -> bpy.types.NodeSocket:
        """Blend two colours."""
        node = self.node('Mix', {'data_type': 'RGBA', 'blend_type': blend})
        self.connect(node, i_0=factor)
        for index, value in ((6, a), (7, b)):
            self.connect(node, **{f'i_{index}': value})
        return node.outputs[2]

    def bump(self, height: Any, strength: float, distance: float = 0.002) -> bpy.types.NodeSocket:
        """Return a normal that follows `height`."""
        return self.node('Bump', Height=height, Strength=strength,
                         Distance=distance).outputs['Normal']

    def surface(self, **inputs: Any) -> bpy.types.Material:
        """Set the principled surface and return the material."""
        self.connect(self.principled, **inputs)
        return self.material


def plain(colour: Colour, roughness: float = 0.5, metallic: float = 0.0, dirt: float = 0.15,
          name: str = 'plain') -> bpy.types.Material:
    """Paint, plastic or metal with a little uneven dirt."""
    g = Graph(name)
    patches = g.ramp(g.noise(g.position(), 9.0, 3.0), 0.35, 0.7)
    dirty = tuple(c * (1 - 2.2 * dirt) for c in colour)
    return g.surface(Base_Color=g.mix(patches, colour, dirty), Metallic=metallic,
                     Roughness=g.ramp(patches, 0, 1, roughness, min(1, roughness + 0.15)))


def cone_plastic(colour: Colour, wear: float, roughness: float) -> bpy.types.Material:
    """Glossy injection-moulded plastic with scuffs and grey rubbed-in dirt."""
    g = Graph('cone_plastic')
    where = g.position()
    scuffs = g.ramp(g.noise(g.position((1, 1, 0.25)), 70.0, 3.0, 0.7), 0.60, 0.68, 0, wear)
    stains = g.ramp(g.noise(where, 14.0, 3.0, 0.6), 0.5, 0.75, 0, wear * 0.7)
    base = g.mix(stains, colour, tuple(0.55 * c + 0.02 for c in colour))
    base = g.mix(scuffs, base, (0.12, 0.10, 0.08))
    return g.surface(Base_Color=base, Roughness=g.ramp(stains, 0, 1, roughness, 0.6),
                     Normal=g.bump(g.noise(where, 160.0, 1.0), 0.12, 0.0006),
                     Specular_IOR_Level=0.55)


def road_plastic(colour: Colour, dirt: float, roughness: float) -> bpy.types.Material:
    """Weathered plastic or rubber: bleached patches, scratches, mud that gathers at the foot."""
    g = Graph('road_plastic')
    where = g.position()
    bleached = g.ramp(g.noise(where, 5.0, 3.0), 0.4, 0.75, 0, 0.12 + 0.2 * dirt)
    base = g.mix(bleached, colour, tuple(0.75 * c + 0.06 for c in colour))
    scratches = g.ramp(g.noise(g.position((1, 1, 0.2)), 60.0, 3.0, 0.7), 0.58, 0.66, 0, 0.5 * dirt)
    base = g.mix(scratches, base, tuple(0.4 * c + 0.02 for c in colour))
    low = g.node('SeparateXYZ', Vector=where).outputs['Z']
    mud = g.node('Math', {'operation': 'MULTIPLY'}, i_0=g.ramp(low, 0.0, 0.25, 0.9 * dirt, 0.0),
                 i_1=g.ramp(g.noise(where, 18.0, 4.0, 0.65), 0.35, 0.65)).outputs[0]
    base = g.mix(mud, base, (0.10, 0.085, 0.065))
    smears = g.ramp(g.noise(where, 9.0, 4.0, 0.7), 0.52, 0.72, 0, 0.55 * dirt)
    base = g.mix(smears, base, (0.06, 0.055, 0.05))
    return g.surface(Base_Color=base, Roughness=roughness, Specular_IOR_Level=0.5,
                     Normal=g.bump(g.noise(where, 120.0, 1.0), 0.15, 0.0008))


def band(colour: Colour, dirt: float, reflective: bool) -> bpy.types.Material:
    """A painted or retroreflective band; the latter shows a fine honeycomb and a sheen."""
    g = Graph('band')
    where = g.position()
    cells = g.node('TexVoronoi', {'feature': 'DISTANCE_TO_EDGE'}, Vector=where,
                   Scale=140.0).outputs['Distance']
    base = colour
    if reflective:
        base = g.mix(g.ramp(cells, 0.02, 0.08, 0.35, 0.0), base, tuple(0.6 * c for c in colour))
    smears = g.ramp(g.noise(where, 8.0, 4.0, 0.7), 0.45, 0.72, 0, 0.75 * dirt)
    base = g.mix(smears, base, (0.16, 0.14, 0.12))
    scuffs = g.ramp(g.noise(g.position((1, 1, 0.3)), 50.0, 3.0, 0.7), 0.58, 0.66, 0, 0.6 * dirt)
    base = g.mix(scuffs, base, (0.10, 0.09, 0.08))
    return g.surface(Base_Color=base, Metallic=0.25 if reflective else 0.0,
                     Roughness=0.3 if reflective else 0.6)


def image_skin(image: bpy.types.Image, roughness: float, grain: str,
               dirt: float) -> bpy.types.Material:
    """A surface that shows `image` where the UVs lead; `grain` 'paper' adds fibres."""
    g = Graph('image_skin')
    where = g.position()
    texture = g.node('TexImage', {'image': image, 'extension': 'EXTEND'},
                     Vector=g.node('TexCoord').outputs['UV'])
    base = texture.outputs['Color']
    patches = g.ramp(g.noise(where, 12.0, 4.0, 0.65), 0.45, 0.75, 0, 0.55 * dirt)
    base = g.mix(patches, base, (0.13, 0.11, 0.09))
    fine = g.noise(g.position((1, 1, 6)) if grain == 'paper' else where, 150.0, 2.0, 0.7)
    if grain == 'paper':
        base = g.mix(g.ramp(fine, 0.3, 0.7, 0.0, 0.18), base, (0.12, 0.07, 0.04))
    return g.surface(Base_Color=base, Roughness=roughness,
                     Normal=g.bump(fine, 0.15 if grain else 0.05, 0.001))


def _print_image(word: str, rng: np.random.Generator) -> bpy.types.Image:
    """Draw white lettering and three marks, the kind of print inflatables carry."""
    mask = np.zeros((256, 256), np.uint8)
    (width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    scale = 150 / width
    thickness = int(rng.integers(5, 9))
    cv2.putText(mask, word, (53, 170), cv2.FONT_HERSHEY_DUPLEX, scale, 255, thickness,
                cv2.LINE_AA)
    cv2.circle(mask, (90, 102), 17, 255, thickness, cv2.LINE_AA)
    cv2.rectangle(mask, (116, 86), (146, 118), 255, thickness, cv2.LINE_AA)
    cv2.polylines(mask, [np.array([[160, 118], [178, 84], [196, 118]])], True, 255, thickness,
                  cv2.LINE_AA)
    pixels = np.ones((256, 256, 4), np.float32)
    pixels[..., :3] = (mask[::-1].astype(np.float32) / 255)[..., None]
    image = bpy.data.images.new('print', 256, 256)
    image.colorspace_settings.name = 'Non-Color'
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def cube_vinyl(colour: Colour, roughness: float, word: str,
               rng: np.random.Generator) -> bpy.types.Material:
    """Soft glossy vinyl, wrinkled towards its seams, with white print where UVs lead to it."""
    g = Graph('cube_vinyl')
    where = g.position()
    wrinkles = g.noise(where, 26.0, 2.0, 0.6)
    base = g.mix(g.ramp(g.noise(where, 6.0, 2.0), 0.35, 0.7, 0, 0.5), colour,
                 tuple(0.75 * c for c in colour))
    if word:
        texture = g.node('TexImage', {'image': _print_image(word, rng), 'extension': 'CLIP'},
                         Vector=g.node('TexCoord').outputs['UV'])
        worn = g.ramp(g.noise(where, 60.0, 2.0), 0.35, 0.42, 0.55, 0.95)
        ink = g.node('Math', {'operation': 'MULTIPLY'}, i_0=texture.outputs['Color'],
                     i_1=worn).outputs[0]
        base = g.mix(ink, base, (0.8, 0.8, 0.82))
    return g.surface(Base_Color=base, Roughness=roughness, Specular_IOR_Level=0.6,
                     Normal=g.bump(wrinkles, 0.25, 0.006), Coat_Weight=0.25,
                     Coat_Roughness=0.12)


def tiles(colour: Colour, grout: Colour, size_m: float, roughness: float, speckle: float,
          turn: float = 0.0, checker: Colour | None = None) -> bpy.types.Material:
    """Square floor tiles with grout, speckles, tile-to-tile variation and dirt."""
    g = Graph('tiles')
    where = g.position(turn=turn)
    second = checker if checker is not None else tuple(0.93 * c for c in colour)
    brick = g.node('TexBrick', {'offset': 0.0}, Vector=where, Color1=colour, Color2=second,
                   Mortar=grout, Scale=1.0, Mortar_Size=0.012 * size_m, Mortar_Smooth=0.3,
                   Bias=0.0, Brick_Width=size_m, Row_Height=size_m)
    grains = g.ramp(g.noise(where, 190.0, 1.0), 0.60, 0.66, 0, speckle)
    pale = g.ramp(g.noise(where, 120.0, 1.0), 0.62, 0.68, 0, speckle * 0.7)
    dirt = g.ramp(g.noise(where, 1.1, 4.0, 0.65), 0.42, 0.72, 0, 0.45)
    base = g.mix(grains, brick.outputs['Color'], tuple(0.35 * c for c in colour))
    base = g.mix(pale, base, (0.8, 0.78, 0.74))
    base = g.mix(dirt, base, tuple(0.6 * c for c in colour), 'MIX')
    return g.surface(Base_Color=base, Roughness=g.ramp(dirt, 0, 0.45, roughness, roughness + 0.2),
                     Normal=g.bump(brick.outputs['Fac'], -0.6, 0.002))


def concrete(colour: Colour, roughness: float, joint_m: float = 0.0,
             turn: float = 0.0) -> bpy.types.Material:
    """Trowelled concrete or grey vinyl: clouds at several sizes, fine grain, faint joints."""
    g = Graph('concrete')
    where = g.position(turn=turn)
    clouds = g.noise(where, 0.9, 5.0, 0.7)
    grain = g.noise(where, 130.0, 2.0, 0.7)
    base = g.mix(g.ramp(clouds, 0.3, 0.7), tuple(0.72 * c for c in colour),
                 tuple(min(1, 1.2 * c) for c in colour))
    base = g.mix(g.ramp(grain, 0.35, 0.7, 0, 0.4), base, tuple(0.6 * c for c in colour))
    stain = g.ramp(g.noise(where, 4.5, 4.0, 0.7), 0.62, 0.72, 0, 0.35)
    base = g.mix(stain, base, tuple(0.45 * c for c in colour))
    if joint_m:
        brick = g.node('TexBrick', {'offset': 0.0}, Vector=where, Color1=(1, 1, 1),
                       Color2=(0.93, 0.93, 0.93), Mortar=(0.5, 0.5, 0.5), Scale=1.0,
                       Mortar_Size=0.004, Mortar_Smooth=0.2, Brick_Width=joint_m,
                       Row_Height=joint_m)
        base = g.mix(1.0, base, brick.outputs['Color'], 'MULTIPLY')
    return g.surface(Base_Color=base, Roughness=g.ramp(clouds, 0.3, 0.7, roughness,
                                                       roughness + 0.15),
                     Normal=g.bump(grain, 0.25, 0.002))


def wood(colour: Colour, roughness: float, plank_m: tuple[float, float] = (1.2, 0.14),
         turn: float = 0.0) -> bpy.types.Material:
    """Planks with grain along their length and a tone of their own."""
    g = Graph('wood')
    where = g.position(turn=turn)
    brick = g.node('TexBrick', {'offset': 0.37}, Vector=where, Color1=colour,
                   Color2=tuple(0.62 * c for c in colour), Mortar=tuple(0.15 * c for c in colour),
                   Scale=1.0, Mortar_Size=0.0015, Mortar_Smooth=0.4, Bias=0.0,
                   Brick_Width=plank_m[0], Row_Height=plank_m[1])
    along = g.position((1.0, 14.0, 14.0), turn)
    grain = g.noise(along, 3.0, 4.0, 0.7)
    base = g.mix(g.ramp(grain, 0.35, 0.7, 0, 0.75), brick.outputs['Color'],
                 tuple(0.38 * c for c in colour))
    worn = g.ramp(g.noise(where, 1.3, 3.0), 0.4, 0.7)
    return g.surface(Base_Color=base, Roughness=g.ramp(worn, 0, 1, roughness, roughness + 0.25),
                     Normal=g.bump(brick.outputs['Fac'], -0.5, 0.001))


def carpet(colour: Colour) -> bpy.types.Material:
    """Short-pile carpet: rough, mottled, no reflection."""
    g = Graph('carpet')
    where = g.position()
    pile = g.noise(where, 240.0, 2.0, 0.8)
    base = g.mix(g.ramp(pile, 0.3, 0.7), tuple(0.45 * c for c in colour), colour)
    base = g.mix(g.ramp(g.noise(where, 2.0, 3.0), 0.4, 0.7, 0, 0.4), base,
                 tuple(0.6 * c for c in colour))
    return g.surface(Base_Color=base, Roughness=0.95, Specular_IOR_Level=0.1,
                     Normal=g.bump(pile, 0.7, 0.004))


def grass(colour: Colour) -> bpy.types.Material:
    """Grass, leaves, moss or loose earth: blades and clods, and patches of another tone."""
    g = Graph('grass')
    where = g.position()
    blades = g.noise(where, 90.0, 3.0, 0.8)
    clumps = g.noise(where, 5.0, 4.0, 0.7)
    base = g.mix(g.ramp(blades, 0.3, 0.7), tuple(0.3 * c for c in colour), colour)
    base = g.mix(g.ramp(clumps, 0.4, 0.7, 0, 0.6), base,
                 tuple(c * f for c, f in zip(colour, (1.5, 1.1, 1.2))))
    return g.surface(Base_Color=base, Roughness=0.95, Specular_IOR_Level=0.1,
                     Normal=g.bump(blades, 0.9, 0.01))


def light_panel(colour: Colour, strength: float) -> bpy.types.Material:
    """A surface that is seen to shine: window panes, lamp covers."""
    g = Graph('light_panel')
    where = g.position()
    # A window is no even white: the world behind it is brighter in places.
    vary = g.ramp(g.noise(where, 1.2, 3.0), 0.3, 0.7, 0.35 * strength, strength)
    return g.surface(Base_Color=(0, 0, 0), Emission_Color=colour, Emission_Strength=vary)
