//! The prompt as a caption, on a soft dark band at the bottom.
//!
//! Owns where lines break and where text is cut. It never moves, so it is drawn
//! once.

use super::Layer;
use super::canvas::{Canvas, Point, over};
use super::font::{self, CAP};
use super::math::smooth;
use super::stage::Stage;
use super::strip::{Slide, Strip};

/// The most lines of a caption. What is left over is cut with an ellipsis.
const MAX_LINES: usize = 3;

/// A caption, ready to be laid over pictures.
pub(crate) struct Caption {
    band: Option<Strip>,
    top: f32,
}

impl Caption {
    /// The caption `text` for pictures of this size.
    pub(crate) fn new(text: &str, width: usize, height: usize) -> Self {
        // The height of a capital in pixels.
        let cap = (height as f32 * 0.039).clamp(5.0, 26.0).min(width as f32 * 0.09);
        let scale = cap / CAP;
        let room = (width as f32 - cap * 2.6) / scale;
        let pitch = (cap * 1.85).round();
        let most = ((height as f32 * 0.4 / pitch) as usize).clamp(1, MAX_LINES);
        let lines = wrap(&font::writable(text), room, most);
        if lines.is_empty() {
            return Self { band: None, top: height as f32 * 0.94 };
        }
        let pad = cap * 0.95;
        let soft = cap * 1.1;
        let rows = pitch * (lines.len() as f32 - 1.0) + cap + pad * 2.0 + soft * 0.5;
        let rows = (rows.ceil() as usize).min(height);
        let slide = Slide { speed: 0.0, seconds: 0.0 };
        let mut canvas = Canvas::new(width + slide.room(), rows);
        for y in 0..rows {
            let k = 0.56 * smooth(0.0, soft, y as f32 + 0.5);
            canvas.row(y).fill([4.0 * k, 5.0 * k, 9.0 * k, k]);
        }
        let half = (scale * 0.62).max(0.42);
        for (i, line) in lines.iter().enumerate() {
            let above = pitch * (lines.len() - 1 - i) as f32;
            let baseline = (rows as f32 - pad - above).round();
            let left = (width as f32 - font::length(line) * scale) * 0.5;
            let shadow = scale * 0.9;
            for (dx, dy, grow, ink) in [
                (0.0, shadow * 0.7, shadow, [0.0, 0.0, 0.0, 0.5]),
                (0.0, 0.0, 0.0, [250.0, 248.0, 242.0, 0.97]),
            ] {
                write(&mut canvas, line, (left + dx, baseline + dy), scale, half + grow, ink);
            }
        }
        let top = height - rows;
        Self { band: Some(Strip::new(&canvas, top, slide)), top: top as f32 + soft * 0.4 }
    }

    /// The first row that the caption covers well.
    pub(crate) fn top(&self) -> f32 {
        self.top
    }
}

impl Layer for Caption {
    fn draw(&self, canvas: &mut Canvas, _: &Stage, t: f32) {
        if let Some(band) = &self.band {
            band.draw(canvas, t);
        }
    }
}

/// Breaks `text` into at most `most` lines of length `room`, all about equally
/// long; cuts what does not fit.
fn wrap(text: &str, room: f32, most: usize) -> Vec<String> {
    let (lines, cut) = fill(text, room, most);
    if cut || lines.len() < 2 {
        return lines;
    }
    // The narrowest measure that takes no line more looks best.
    let (mut low, mut high) = (room * 0.4, room);
    for _ in 0..10 {
        let middle = (low + high) * 0.5;
        let (tried, cut) = fill(text, middle, most);
        if cut || tried.len() > lines.len() { low = middle } else { high = middle }
    }
    fill(text, high, most).0
}

/// Breaks `text` into lines, each as full as it gets. Also tells whether text
/// was cut.
fn fill(text: &str, room: f32, most: usize) -> (Vec<String>, bool) {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        for piece in pieces(word, room) {
            let longer = if line.is_empty() { piece.clone() } else { format!("{line} {piece}") };
            if font::length(&longer) <= room || line.is_empty() {
                line = longer;
                continue;
            }
            if lines.len() + 1 == most {
                lines.push(shortened(&longer, room));
                return (lines, true);
            }
            lines.push(std::mem::replace(&mut line, piece));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    (lines, false)
}

/// A word, or its parts where it is longer than a line.
fn pieces(word: &str, room: f32) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut used = 0.0;
    for c in word.chars() {
        let last = out.len() - 1;
        let wide = font::advance(c);
        if used + wide > room && !out[last].is_empty() {
            out.push(c.to_string());
            used = wide;
        } else {
            out[last].push(c);
            used += wide;
        }
    }
    out
}

/// The beginning of `text` that fits together with an ellipsis.
fn shortened(text: &str, room: f32) -> String {
    let mut kept = text.to_owned();
    loop {
        let whole = format!("{}\u{2026}", kept.trim_end_matches([' ', ',', '.', ';', ':', '-']));
        if font::length(&whole) <= room || kept.pop().is_none() {
            return whole;
        }
    }
}

/// Writes a line with strokes of radius `half` pixels, from `at` on.
fn write(canvas: &mut Canvas, line: &str, at: Point, scale: f32, half: f32, ink: [f32; 4]) {
    let mut x = at.0;
    for c in line.chars() {
        let placed: Vec<Vec<Point>> = font::glyph(c)
            .iter()
            .map(|s| s.iter().map(|p| (x + p.0 * scale, at.1 - p.1 * scale)).collect())
            .collect();
        stamp(canvas, &placed, half, ink);
        x += font::advance(c) * scale;
    }
}

/// Covers all pixels nearer than `half` to one of the strokes.
fn stamp(canvas: &mut Canvas, strokes: &[Vec<Point>], half: f32, [r, g, b, opacity]: [f32; 4]) {
    let points = || strokes.iter().flatten();
    let reach = half + 1.0;
    let low = |v: f32| (v - reach).floor().max(0.0) as usize;
    let high = |v: f32| (v + reach).ceil().max(0.0) as usize;
    let min = |f: fn(&Point) -> f32| points().map(f).fold(f32::MAX, f32::min);
    let max = |f: fn(&Point) -> f32| points().map(f).fold(f32::MIN, f32::max);
    if points().next().is_none() {
        return;
    }
    let (x0, x1) = (low(min(|p| p.0)), high(max(|p| p.0)).min(canvas.width));
    let (y0, y1) = (low(min(|p| p.1)), high(max(|p| p.1)).min(canvas.height));
    for y in y0..y1 {
        for x in x0..x1 {
            let at = (x as f32 + 0.5, y as f32 + 0.5);
            let near = strokes.iter().flat_map(|s| s.windows(2)).map(|w| distance(at, w[0], w[1]));
            let cover = (half + 0.5 - near.fold(f32::MAX, f32::min)).clamp(0.0, 1.0);
            if cover > 0.0 {
                let a = cover * opacity;
                over(&mut canvas.row(y)[x], [r * a, g * a, b * a, a]);
            }
        }
    }
}

/// From a point to the line between two others.
fn distance(p: Point, a: Point, b: Point) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (px, py) = (p.0 - a.0, p.1 - a.1);
    let t = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
    let (ex, ey) = (px - dx * t, py - dy * t);
    (ex * ex + ey * ey).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_the_rest_is_cut() {
        let text = "a very long prompt about many things that nobody would ever read to its end";
        let lines = wrap(text, 120.0, 3);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|l| font::length(l) <= 120.0), "{lines:?}");
        assert!(lines[2].ends_with('\u{2026}'), "{lines:?}");
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken() {
        let lines = wrap(&"m".repeat(40), 120.0, 3);
        assert!(lines.iter().all(|l| font::length(l) <= 120.0), "{lines:?}");
    }

    #[test]
    fn two_lines_are_about_equally_long() {
        let lines = wrap("one two three four five six seven eight nine ten", 230.0, 3);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let lengths: Vec<f32> = lines.iter().map(|l| font::length(l)).collect();
        assert!((lengths[0] - lengths[1]).abs() < 60.0, "{lines:?}");
    }

    #[test]
    fn any_text_makes_a_caption() {
        for text in ["", " ", "🦑", "日本語のプロンプト", "\u{0}\u{7f}\u{fffd}", "e\u{301}", "Ñandú Ågot"]
        {
            for (w, h) in [(64, 64), (64, 720), (480, 270), (1280, 64)] {
                let caption = Caption::new(text, w, h);
                assert!(caption.top() > h as f32 * 0.3, "{text:?} at {w}×{h}");
            }
        }
    }
}
