//! A picture in memory and the filling of shapes with smooth edges.
//!
//! Owns the pixels (red, green, blue from 0 to 255 and cover from 0 to 1, all
//! multiplied by the cover) and the rasterizer. Never knows what a shape means.

/// A point in pixels: right, down.
pub(crate) type Point = (f32, f32);

/// A colour with its opacity: red, green, blue from 0 to 255; 0 to 1.
pub(crate) type Ink = [f32; 4];

/// What fills a shape.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    /// One colour.
    Flat(Ink),
    /// From the first colour at the first point to the second at the second.
    Fade(Point, Ink, Point, Ink),
}

/// A picture that things are drawn on.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<[f32; 4]>,
    /// The rasterizer's sums, kept for the next shape.
    sums: Vec<f32>,
}

impl Canvas {
    /// A fully transparent picture.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![[0.0; 4]; width * height], sums: Vec::new() }
    }

    /// Row `y`.
    pub(crate) fn row(&mut self, y: usize) -> &mut [[f32; 4]] {
        &mut self.pixels[y * self.width..(y + 1) * self.width]
    }

    /// Fills a shape given by closed outlines. Where outlines of opposite
    /// directions overlap there is a hole.
    pub(crate) fn fill(&mut self, outlines: &[&[Point]], paint: &Paint) {
        let Some((x0, y0, x1, y1)) = self.bounds(outlines) else { return };
        let (w, h) = (x1 - x0, y1 - y0);
        let stride = w + 2;
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(stride * h, 0.0);
        let origin = (x0 as f32, y0 as f32);
        for outline in outlines {
            let mut from = outline[outline.len() - 1];
            for &to in *outline {
                add_edge(&mut sums, stride, (w, h), origin, from, to);
                from = to;
            }
        }
        for y in 0..h {
            let start = (y0 + y) * self.width + x0;
            let row = &mut self.pixels[start..start + w];
            paint_row(row, &sums[y * stride..][..w], paint, x0, y0 + y);
        }
        self.sums = sums;
    }

    /// Adds light around a centre, fading to nothing at `radius`.
    pub(crate) fn glow(&mut self, centre: Point, radius: f32, light: [f32; 3], strength: f32) {
        let (cx, cy) = centre;
        let (x0, x1) = span(cx - radius, cx + radius, self.width);
        let (y0, y1) = span(cy - radius, cy + radius, self.height);
        let shrink = 1.0 / (radius * radius).max(0.01);
        for y in y0..y1 {
            let dy = y as f32 + 0.5 - cy;
            for (x, pixel) in (x0..x1).zip(&mut self.pixels[y * self.width + x0..]) {
                let dx = x as f32 + 0.5 - cx;
                let k = (1.0 - (dx * dx + dy * dy) * shrink).max(0.0);
                let k = k * k * k * strength;
                // What is bright already takes less, so nothing burns out.
                for (channel, add) in pixel.iter_mut().zip(light) {
                    *channel += add * k * (1.0 - *channel * (1.0 / 255.0)).max(0.0);
                }
            }
        }
    }

    /// Lays a small disc over the picture; dots below a pixel grow faint.
    pub(crate) fn dot(&mut self, (cx, cy): Point, radius: f32, [r, g, b, opacity]: Ink) {
        let reach = radius + 0.7;
        let (x0, x1) = span(cx - reach, cx + reach, self.width);
        let (y0, y1) = span(cy - reach, cy + reach, self.height);
        for y in y0..y1 {
            let dy = y as f32 + 0.5 - cy;
            for (x, pixel) in (x0..x1).zip(&mut self.pixels[y * self.width + x0..]) {
                let dx = x as f32 + 0.5 - cx;
                let cover = (radius + 0.5 - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                let a = cover * opacity;
                over(pixel, [r * a, g * a, b * a, a]);
            }
        }
    }

    /// The pixels that a shape can touch, or nothing.
    fn bounds(&self, outlines: &[&[Point]]) -> Option<(usize, usize, usize, usize)> {
        let mut points = outlines.iter().flat_map(|o| o.iter());
        let first = points.next()?;
        let (mut left, mut top, mut right, mut bottom) = (first.0, first.1, first.0, first.1);
        for p in points {
            (left, right) = (left.min(p.0), right.max(p.0));
            (top, bottom) = (top.min(p.1), bottom.max(p.1));
        }
        let (x0, x1) = span(left, right, self.width);
        let (y0, y1) = span(top, bottom, self.height);
        (x0 < x1 && y0 < y1).then_some((x0, y0, x1, y1))
    }
}

/// The whole pixels that `from..to` touches within `0..size`.
fn span(from: f32, to: f32, size: usize) -> (usize, usize) {
    // Casts saturate: what lies left of the picture becomes 0.
    ((from.floor() as usize).min(size), (to.ceil() as usize).min(size))
}

fn paint_row(row: &mut [[f32; 4]], sums: &[f32], paint: &Paint, x0: usize, y: usize) {
    let mut sum = 0.0;
    match *paint {
        Paint::Flat([r, g, b, opacity]) => {
            for (pixel, add) in row.iter_mut().zip(sums) {
                sum += add;
                let a = sum.abs().min(1.0) * opacity;
                if a > 0.002 {
                    over(pixel, [r * a, g * a, b * a, a]);
                }
            }
        }
        Paint::Fade(from, first, to, second) => {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let scale = 1.0 / (dx * dx + dy * dy).max(1e-6);
            let along = |x: f32| ((x - from.0) * dx + (y as f32 + 0.5 - from.1) * dy) * scale;
            for (x, (pixel, add)) in row.iter_mut().zip(sums).enumerate() {
                sum += add;
                let cover = sum.abs().min(1.0);
                if cover > 0.002 {
                    let t = along((x0 + x) as f32 + 0.5).clamp(0.0, 1.0);
                    let ink: Ink = std::array::from_fn(|i| first[i] + (second[i] - first[i]) * t);
                    let a = cover * ink[3];
                    over(pixel, [ink[0] * a, ink[1] * a, ink[2] * a, a]);
                }
            }
        }
    }
}

/// Lays `top`, multiplied by its cover, over a pixel.
#[inline(always)]
pub(crate) fn over(pixel: &mut [f32; 4], top: [f32; 4]) {
    let rest = 1.0 - top[3];
    for (p, t) in pixel.iter_mut().zip(top) {
        *p = t + *p * rest;
    }
}

/// Adds one edge to the sums: each cell receives by how much the cover of its
/// row changes there, so that a running sum gives the exact cover.
fn add_edge(sums: &mut [f32], stride: usize, (w, h): (usize, usize), origin: Point, from: Point, to: Point) {
    let (a, b) = ((from.0 - origin.0, from.1 - origin.1), (to.0 - origin.0, to.1 - origin.1));
    let (direction, a, b) = if a.1 < b.1 { (1.0, a, b) } else { (-1.0, b, a) };
    if b.1 - a.1 < 1e-6 {
        return;
    }
    let slope = (b.0 - a.0) / (b.1 - a.1);
    let top = a.1.max(0.0);
    let mut x = a.0 + (top - a.1) * slope;
    let first = top as usize;
    for y in first..(b.1.ceil() as usize).min(h) {
        let cells = &mut sums[y * stride..(y + 1) * stride];
        let dy = ((y + 1) as f32).min(b.1) - (y as f32).max(top);
        let next = x + slope * dy;
        add_span(cells, dy * direction, x.clamp(0.0, w as f32), next.clamp(0.0, w as f32));
        x = next;
    }
}

/// One row's part of an edge, that goes from `xa` to `xb` and covers `d` of
/// the row's height.
fn add_span(cells: &mut [f32], d: f32, xa: f32, xb: f32) {
    let (x0, x1) = if xa < xb { (xa, xb) } else { (xb, xa) };
    let first = x0.floor();
    let i = first as usize;
    let last = x1.ceil() as usize;
    if last <= i + 1 {
        let middle = 0.5 * (x0 + x1) - first;
        cells[i] += d - d * middle;
        cells[i + 1] += d * middle;
        return;
    }
    let per = 1.0 / (x1 - x0);
    let head = 1.0 - (x0 - first);
    let tail = x1 - last as f32 + 1.0;
    let (a0, am) = (0.5 * per * head * head, 0.5 * per * tail * tail);
    cells[i] += d * a0;
    if last == i + 2 {
        cells[i + 1] += d * (1.0 - a0 - am);
    } else {
        let a1 = per * (0.5 + head);
        cells[i + 1] += d * (a1 - a0);
        cells[i + 2..last - 1].iter_mut().for_each(|c| *c += d * per);
        let a2 = a1 + (last - i - 3) as f32 * per;
        cells[last - 1] += d * (1.0 - a2 - am);
    }
    cells[last] += d * am;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_covers_its_area_wherever_it_lies() {
        for (dx, dy) in [(0.0, 0.0), (0.3, 0.7), (2.25, 1.5)] {
            let mut canvas = Canvas::new(16, 16);
            let shape = [(2.0 + dx, 3.0 + dy), (9.5 + dx, 4.0 + dy), (5.0 + dx, 11.25 + dy)];
            canvas.fill(&[&shape], &Paint::Flat([255.0, 0.0, 0.0, 1.0]));
            let cover: f32 = canvas.pixels.iter().map(|p| p[3]).sum();
            let area = 0.5 * (7.5 * 8.25 - 3.0 * 1.0);
            assert!((cover - area).abs() < 0.05, "{cover} is not {area}");
        }
    }

    #[test]
    fn shapes_beyond_the_edges_are_cut() {
        let mut canvas = Canvas::new(8, 8);
        let shape = [(-50.0, -50.0), (90.0, -50.0), (90.0, 90.0), (-50.0, 90.0)];
        canvas.fill(&[&shape], &Paint::Flat([1.0, 1.0, 1.0, 1.0]));
        assert!(canvas.pixels.iter().all(|p| (p[3] - 1.0).abs() < 1e-4));
        canvas.fill(&[&[(-9.0, 2.0), (-3.0, 2.0), (-3.0, 4.0)]], &Paint::Flat([9.0; 4]));
        assert!(canvas.pixels.iter().all(|p| p[0] <= 1.0001));
    }
}
