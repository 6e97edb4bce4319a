"""Colours, linear RGB: those that real cones have, and the same ones for other things."""

from __future__ import annotations

import colorsys

import numpy as np

Colour = tuple[float, float, float]

# Hue, saturation and value ranges of the display colour.
RANGES = {
    'orange': ((0.030, 0.078), (0.85, 1.0), (0.80, 1.0)),
    'red': ((-0.015, 0.022), (0.80, 0.97), (0.55, 0.95)),
    'yellow': ((0.120, 0.165), (0.75, 1.0), (0.75, 1.0)),
    'green': ((0.220, 0.430), (0.60, 1.0), (0.35, 0.90)),
    'blue': ((0.540, 0.670), (0.65, 1.0), (0.40, 0.95)),
    'white': ((0.0, 1.0), (0.0, 0.06), (0.75, 0.95)),
    'pink': ((0.800, 0.960), (0.45, 0.9), (0.55, 0.95)),
    'brown': ((0.050, 0.095), (0.45, 0.8), (0.25, 0.65)),
    'grey': ((0.0, 1.0), (0.0, 0.08), (0.08, 0.65)),
}
CONE_SHARES = {'orange': 0.52, 'red': 0.11, 'yellow': 0.12, 'green': 0.08, 'blue': 0.10,
               'white': 0.03, 'pink': 0.04}
ROAD_SHARES = {'orange': 0.74, 'red': 0.12, 'yellow': 0.06, 'green': 0.03, 'blue': 0.05}
CUBE_SHARES = {'orange': 0.08, 'red': 0.13, 'yellow': 0.11, 'green': 0.12, 'blue': 0.26,
               'white': 0.10, 'pink': 0.07, 'brown': 0.08, 'grey': 0.05}
OTHER_SHARES = {'orange': 0.34, 'red': 0.13, 'yellow': 0.11, 'green': 0.06, 'blue': 0.13,
                'white': 0.06, 'pink': 0.03, 'brown': 0.08, 'grey': 0.06}


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return the linear RGB of a display colour; all values 0..1, hue wraps around."""
    rgb = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return tuple(float(c**2.2) for c in rgb)


def drawn(rng: np.random.Generator, shares: dict[str, float]) -> Colour:
    """Draw a colour name by its share, then a colour from its range."""
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    ranges = RANGES[names[rng.choice(len(names), p=weights / weights.sum())]]
    return hsv(*(float(rng.uniform(*limits)) for limits in ranges))


def cone_colour(rng: np.random.Generator, road: bool = False) -> Colour:
    """Draw the colour of a cone; on roads nearly all are orange or red."""
    return drawn(rng, ROAD_SHARES if road else CONE_SHARES)


def faded(rng: np.random.Generator, colour: Colour) -> Colour:
    """Bleach some: years of sun take saturation away."""
    amount = float(np.clip(rng.normal(0.03, 0.10), 0.0, 0.45))
    pale = np.array((0.75, 0.62, 0.52)) * max(colour)
    return tuple(float(c) for c in (1 - amount) * np.array(colour) + amount * pale)
