"""The simulated rover: physics under velocity commands, its camera, and the truth about both."""

from __future__ import annotations

import contextlib
import math
import os

os.environ.setdefault('MUJOCO_GL', 'egl')  # read by mujoco when it is imported
with contextlib.suppress(ImportError):
    # Mesa renders with LLVM, and Triton has another one in itself. When torch imports Triton after
    # the first image is rendered, the process ends in a segmentation fault.
    import triton  # noqa: F401

import mujoco  # noqa: E402
import numpy as np  # noqa: E402

from sim import model  # noqa: E402
from sim.course import Course  # noqa: E402

MAX_WHEEL_M_S = 0.6
# Metres per second that the motor controller lets the wheels gain in a second.
ACCELERATION = 1.0
SMALLEST_PX = 12  # of which so little is in view has no box


class Rover:
    """One course with the rover in it.

    Args:
        course: where it drives.
    """

    def __init__(self, course: Course):
        xml, assets = model.model_xml(course)
        self.course = course
        self._model = mujoco.MjModel.from_xml_string(xml, assets)
        self._data = mujoco.MjData(self._model)
        self._renderer: mujoco.Renderer | None = None
        self._speeds = np.zeros(2)  # of the wheels' rims as commanded, left and right, m/s
        self._own = {self._body('rover'), self._body('left'), self._body('right')}
        self._touchable = {self._body(thing.name): thing.name for thing in course.things}
        self.touched: list[str] = []
        mujoco.mj_forward(self._model, self._data)
        self.step(0.5, 0.0, 0.0)  # it settles on its wheels

    def _body(self, name: str) -> int:
        return mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, name)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()

    def step(self, seconds: float, linear: float, angular: float) -> None:
        """Drive on under a command: metres and radians per second."""
        half = model.TRACK / 2
        wanted = np.clip([linear - angular * half, linear + angular * half],
                         -MAX_WHEEL_M_S, MAX_WHEEL_M_S)
        change = ACCELERATION * model.PHYSICS_STEP_S
        for _ in range(round(seconds / model.PHYSICS_STEP_S)):
            self._speeds += np.clip(wanted - self._speeds, -change, change)
            self._data.ctrl[:] = self._speeds / model.WHEEL_RADIUS
            mujoco.mj_step(self._model, self._data)
            self._note_contacts()

    def _note_contacts(self) -> None:
        bodies = self._model.geom_bodyid
        for contact in self._data.contact:
            one, other = (int(bodies[geom]) for geom in contact.geom)
            for a, b in ((one, other), (other, one)):
                if a in self._own and b not in self._own:
                    name = self._touchable.get(b) or self._wall(contact.geom)
                    if name and name not in self.touched:
                        self.touched.append(name)

    def _wall(self, geoms: np.ndarray) -> str:
        names = [self._model.geom(int(geom)).name for geom in geoms]
        return 'wall' if any(name.startswith('wall') for name in names) else ''

    def image(self) -> np.ndarray:
        """Return what the camera sees: uint8 (HEIGHT, WIDTH, 3) RGB."""
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self._model, model.HEIGHT, model.WIDTH)
        self._renderer.update_scene(self._data, 'camera')
        return self._renderer.render()

    def boxes(self) -> tuple[list[str], np.ndarray]:
        """Return the class names of the things in view, and their boxes, float32 (n, 4).

        A box is tight around the visible pixels: edges x_min, y_min, x_max, y_max in pixels,
        continuous, from the image's top-left corner. Things of less than SMALLEST_PX rows or
        columns are left out.
        """
        self.image()
        assert self._renderer is not None
        self._renderer.enable_segmentation_rendering()
        geoms, kinds = np.moveaxis(self._renderer.render(), 2, 0)
        self._renderer.disable_segmentation_rendering()
        bodies = np.where(kinds == mujoco.mjtObj.mjOBJ_GEOM, self._model.geom_bodyid[geoms], -1)
        names, boxes = [], []
        for thing in self.course.things:
            rows, columns = np.nonzero(bodies == self._body(thing.name))
            if min(len(set(rows)), len(set(columns))) >= SMALLEST_PX:
                names.append(thing.class_name)
                boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        return names, np.array(boxes, np.float32).reshape(-1, 4)

    def pose(self) -> tuple[float, float, float]:
        """Return x, y, metres, and heading, radians, of base_link."""
        body = self._data.body('rover')
        w, x, y, z = body.xquat
        heading = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        return float(body.xpos[0]), float(body.xpos[1]), heading

    def places(self) -> np.ndarray:
        """Return where the course's things are now: (n, 2), x and y of their middles, metres."""
        return np.array([self._data.body(thing.name).xpos[:2] for thing in self.course.things])
