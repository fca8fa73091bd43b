//! A layer that is drawn once and then slides: clouds, ridges, a skyline.
//!
//! Owns the layer's pixels, one byte for each channel, and how far it slides.
//! Never draws itself: it is made from a canvas.

use super::canvas::{Canvas, over};
use super::math::cell;

/// How a layer slides over the length of the film.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slide {
    /// Pixels a second, to the left when positive.
    pub(crate) speed: f32,
    /// How long it slides at most, in seconds.
    pub(crate) seconds: f32,
}

impl Slide {
    /// How much wider than the picture the layer must be.
    pub(crate) fn room(self) -> usize {
        (self.speed.abs() * self.seconds).ceil() as usize + 2
    }

    /// The layer's column at the picture's left edge.
    pub(crate) fn at(self, t: f32) -> f32 {
        let way = (self.speed.abs() * t).min(self.room() as f32 - 2.0);
        if self.speed >= 0.0 { way } else { self.room() as f32 - 2.0 - way }
    }
}

/// A layer that slides.
pub(crate) struct Strip {
    width: usize,
    /// The row of the picture where the layer begins.
    top: usize,
    pixels: Vec<[u8; 4]>,
    slide: Slide,
}

impl Strip {
    /// The layer that `canvas` shows, from row `top` of the picture on. The
    /// canvas is as wide as the picture and [`Slide::room`] together.
    pub(crate) fn new(canvas: &Canvas, top: usize, slide: Slide) -> Self {
        let pixel = |(i, p): (usize, &[f32; 4])| {
            // A dither, so that eight bits show no steps.
            let d = cell((i % canvas.width) as i32, (i / canvas.width) as i32, 77);
            let byte = |v: f32| (v + d).clamp(0.0, 255.0) as u8;
            let cover = (p[3] * 255.0 + 0.5) as u8;
            if cover == 0 { [0; 4] } else { [byte(p[0]), byte(p[1]), byte(p[2]), cover] }
        };
        let pixels = canvas.pixels.iter().enumerate().map(pixel).collect();
        Self { width: canvas.width, top, pixels, slide }
    }

    /// Draws the layer as it stands at `t` seconds.
    pub(crate) fn draw(&self, canvas: &mut Canvas, t: f32) {
        let offset = self.slide.at(t);
        let whole = (offset as usize).min(self.width - canvas.width - 1);
        let part = offset - whole as f32;
        let rows = self.pixels.chunks_exact(self.width);
        for (source, y) in rows.zip(self.top..canvas.height) {
            let (near, far) = (&source[whole..], &source[whole + 1..]);
            for ((pixel, a), b) in canvas.row(y).iter_mut().zip(near).zip(far) {
                if a[3] | b[3] == 0 {
                    continue;
                }
                let [r, g, b, a]: [f32; 4] =
                    std::array::from_fn(|i| f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * part);
                over(pixel, [r, g, b, a * (1.0 / 255.0)]);
            }
        }
    }
}
