"""A pinhole camera on a vehicle in a street.

Street coordinates are metres: x to the right of the road's centre line, y up from the ground, z ahead of the
camera. Pitch and yaw are small and are done by moving the principal point, so verticals stay vertical.
"""

from __future__ import annotations

from dataclasses import dataclass

NEAR_M = 0.6
"""Nothing nearer than this is drawn; polygons are cut at this plane."""

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """Intrinsics and mount.

    Attributes:
        width, height: picture size in pixels.
        focal: focal length in pixels.
        cx, cy: principal point in pixels; `cy` is the horizon's row.
        mount_height: camera above the ground, metres.
        lateral: camera right of the road's centre line, metres.
        bend: curvature of the road, 1/m; a point at z lies bend * z^2 / 2 to the right of the straight road.
    """

    width: int
    height: int
    focal: float
    cx: float
    cy: float
    mount_height: float
    lateral: float = 0.0
    bend: float = 0.0

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Pixel (u, v) of a street point with z > 0."""
        scale = self.focal / z
        u = self.cx + scale * (x - self.lateral + 0.5 * self.bend * z * z)
        return u, self.cy + scale * (self.mount_height - y)

    def project_all(self, points: list[Point]) -> list[tuple[float, float]]:
        """Pixels of a polygon, cut at the near plane; empty when all of it is nearer."""
        if min(p[2] for p in points) < NEAR_M:
            points = cut_near(points)
        return [self.project(*p) for p in points]


def cut_near(points: list[Point], near: float = NEAR_M) -> list[Point]:
    """The part of a polygon with z >= near (Sutherland and Hodgman 1974, one plane)."""
    kept: list[Point] = []
    for i, b in enumerate(points):
        a = points[i - 1]
        if (a[2] >= near) != (b[2] >= near):
            t = (near - a[2]) / (b[2] - a[2])
            kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), near))
        if b[2] >= near:
            kept.append(b)
    return kept
