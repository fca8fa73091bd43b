//! Shapes in coordinates of their own: polygons, ovals, lines, soft outlines.
//!
//! Owns the place, size and turn of what is drawn. Never chooses a colour.

use super::canvas::{Canvas, Ink, Paint, Point};
use super::math::{cowave, wave};
use crate::words::Rgb;

/// Draws on a canvas, moved, scaled and turned.
pub(crate) struct Pen<'c> {
    pub(crate) canvas: &'c mut Canvas,
    /// Right, down and the place of the origin, in pixels.
    right: Point,
    down: Point,
    origin: Point,
}

/// `colour` with an opacity.
pub(crate) fn ink(colour: Rgb, opacity: f32) -> Ink {
    [colour[0], colour[1], colour[2], opacity]
}

impl<'c> Pen<'c> {
    /// A pen whose origin is `at` and whose unit is `scale` pixels.
    pub(crate) fn new(canvas: &'c mut Canvas, at: Point, scale: f32) -> Self {
        Self { canvas, right: (scale, 0.0), down: (0.0, scale), origin: at }
    }

    /// The same pen at `at`, scaled by `scale` and turned clockwise by
    /// `turns`; both in this pen's coordinates.
    pub(crate) fn moved(&mut self, at: Point, scale: f32, turns: f32) -> Pen<'_> {
        let (s, c) = (wave(turns) * scale, cowave(turns) * scale);
        let origin = self.place(at);
        let (r, d) = (self.right, self.down);
        Pen {
            canvas: self.canvas,
            right: (r.0 * c + d.0 * s, r.1 * c + d.1 * s),
            down: (d.0 * c - r.0 * s, d.1 * c - r.1 * s),
            origin,
        }
    }

    /// The same pen, mirrored left to right when `mirrored`.
    pub(crate) fn facing(mut self, mirrored: bool) -> Self {
        if mirrored {
            self.right = (-self.right.0, -self.right.1);
        }
        self
    }

    /// How many pixels one unit is.
    pub(crate) fn scale(&self) -> f32 {
        (self.right.0 * self.right.0 + self.right.1 * self.right.1).sqrt()
    }

    /// A point of this pen's coordinates in pixels.
    pub(crate) fn place(&self, (x, y): Point) -> Point {
        (
            self.origin.0 + self.right.0 * x + self.down.0 * y,
            self.origin.1 + self.right.1 * x + self.down.1 * y,
        )
    }

    /// Fills a polygon.
    pub(crate) fn polygon(&mut self, points: &[Point], ink: Ink) {
        self.shaded(points, Paint::Flat(ink));
    }

    /// Fills a polygon; the points of a fading paint are in this pen's
    /// coordinates, too.
    pub(crate) fn shaded(&mut self, points: &[Point], paint: Paint) {
        let placed: Vec<Point> = points.iter().map(|p| self.place(*p)).collect();
        let paint = self.placed(paint);
        if !placed.is_empty() {
            self.canvas.fill(&[&placed], &paint);
        }
    }

    /// Fills a soft shape whose outline passes through `points`.
    pub(crate) fn blob(&mut self, points: &[Point], paint: Paint) {
        self.shaded(&curve(points), paint);
    }

    /// Fills the rectangle from one corner to the other.
    pub(crate) fn rectangle(&mut self, (x0, y0): Point, (x1, y1): Point, paint: Paint) {
        self.shaded(&[(x0, y0), (x1, y0), (x1, y1), (x0, y1)], paint);
    }

    /// Fills an oval.
    pub(crate) fn oval(&mut self, (x, y): Point, rx: f32, ry: f32, paint: Paint) {
        let pixels = rx.max(ry) * self.scale();
        let corners = (pixels * 1.5).clamp(8.0, 72.0) as usize;
        let points: Vec<Point> = (0..corners)
            .map(|i| {
                let turns = i as f32 / corners as f32;
                (x + rx * cowave(turns), y + ry * wave(turns))
            })
            .collect();
        self.shaded(&points, paint);
    }

    /// Fills a disc.
    pub(crate) fn disc(&mut self, at: Point, radius: f32, ink: Ink) {
        self.oval(at, radius, radius, Paint::Flat(ink));
    }

    /// Draws a line that is `from_width` wide at its beginning and `to_width`
    /// at its end, along `points`.
    pub(crate) fn line(&mut self, points: &[Point], from_width: f32, to_width: f32, ink: Ink) {
        let last = points.len().saturating_sub(1);
        if last == 0 {
            return;
        }
        let mut left = Vec::with_capacity(points.len() * 2);
        let mut right = Vec::with_capacity(points.len());
        for (i, &(x, y)) in points.iter().enumerate() {
            let (before, after) = (points[i.saturating_sub(1)], points[(i + 1).min(last)]);
            let (dx, dy) = (after.0 - before.0, after.1 - before.1);
            let length = (dx * dx + dy * dy).sqrt().max(1e-6);
            let t = i as f32 / last as f32;
            let half = 0.5 * (from_width + (to_width - from_width) * t) / length;
            left.push((x + dy * half, y - dx * half));
            right.push((x - dy * half, y + dx * half));
        }
        left.extend(right.into_iter().rev());
        self.polygon(&left, ink);
    }

    /// Adds light around `at`.
    pub(crate) fn glow(&mut self, at: Point, radius: f32, light: Rgb, strength: f32) {
        let (at, radius) = (self.place(at), radius * self.scale());
        self.canvas.glow(at, radius, light, strength);
    }

    fn placed(&self, paint: Paint) -> Paint {
        match paint {
            Paint::Flat(ink) => Paint::Flat(ink),
            Paint::Fade(from, first, to, second) => {
                Paint::Fade(self.place(from), first, self.place(to), second)
            }
        }
    }
}

/// From `top` at height `y0` to `bottom` at height `y1`.
pub(crate) fn downward(y0: f32, top: Ink, y1: f32, bottom: Ink) -> Paint {
    Paint::Fade((0.0, y0), top, (0.0, y1), bottom)
}

/// From `left` at `x0` to `right` at `x1`.
pub(crate) fn sideward(x0: f32, left: Ink, x1: f32, right: Ink) -> Paint {
    Paint::Fade((x0, 0.0), left, (x1, 0.0), right)
}

/// A closed smooth line through `points` (Catmull and Rom's spline).
pub(crate) fn curve(points: &[Point]) -> Vec<Point> {
    const STEPS: usize = 6;
    let n = points.len();
    let mut out = Vec::with_capacity(n * STEPS);
    for i in 0..n {
        let [p0, p1, p2, p3] = [n - 1, 0, 1, 2].map(|d| points[(i + d) % n]);
        for step in 0..STEPS {
            let t = step as f32 / STEPS as f32;
            let mix = |a: f32, b: f32, c: f32, d: f32| {
                b + 0.5
                    * t
                    * ((c - a) + t * ((2.0 * a - 5.0 * b + 4.0 * c - d) + t * (3.0 * (b - c) + d - a)))
            };
            out.push((mix(p0.0, p1.0, p2.0, p3.0), mix(p0.1, p1.1, p2.1, p3.1)));
        }
    }
    out
}
