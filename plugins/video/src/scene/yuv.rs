//! The finished picture as the encoder takes it: 4:2:0, 8 bit, BT.709,
//! limited range.
//!
//! Owns the conversion, the darker corners and the dither. Never draws.

use super::canvas::Canvas;
use super::math::cell;

/// A picture in three planes: luma at full size, both chroma at half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yuv {
    /// Width in pixels, even.
    pub width: usize,
    /// Height in pixels, even.
    pub height: usize,
    /// Luma, `width` × `height` samples.
    pub y: Vec<u8>,
    /// Blue difference, a quarter as many samples.
    pub u: Vec<u8>,
    /// Red difference, a quarter as many samples.
    pub v: Vec<u8>,
}

/// The side of the square of dither values that repeats over the picture.
const DITHER: usize = 16;

impl Yuv {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let (luma, chroma) = (width * height, width * height / 4);
        Self { width, height, y: vec![0; luma], u: vec![0; chroma], v: vec![0; chroma] }
    }

    /// Becomes what `canvas` shows.
    pub(crate) fn take(&mut self, canvas: &Canvas) {
        let (w, h) = (self.width, self.height);
        let mut dither = [[0.0; DITHER]; DITHER];
        for (j, row) in dither.iter_mut().enumerate() {
            for (i, d) in row.iter_mut().enumerate() {
                *d = cell(i as i32, j as i32, 9) * 0.9 + 0.05;
            }
        }
        let corner = |i: usize, size: usize| {
            let d = (i as f32 + 0.5) / size as f32 * 2.0 - 1.0;
            0.13 * d * d
        };
        let dark_x: Vec<f32> = (0..w).map(|x| 1.02 - corner(x, w)).collect();
        for y in (0..h).step_by(2) {
            let dark_y = corner(y, h);
            let (top, bottom) = canvas.pixels[y * w..(y + 2) * w].split_at(w);
            let (luma_top, luma_bottom) = self.y[y * w..(y + 2) * w].split_at_mut(w);
            let (dither_top, dither_bottom) = (&dither[y % DITHER], &dither[(y + 1) % DITHER]);
            let chroma = y / 2 * (w / 2);
            for x in (0..w).step_by(2) {
                let mut sum = [0.0f32; 3];
                for i in x..x + 2 {
                    let dark = dark_x[i] - dark_y;
                    for (pixel, luma, d) in [
                        (&top[i], &mut luma_top[i], dither_top[i % DITHER]),
                        (&bottom[i], &mut luma_bottom[i], dither_bottom[i % DITHER]),
                    ] {
                        let [r, g, b] = [0, 1, 2].map(|c| (pixel[c] * dark).clamp(0.0, 255.0));
                        *luma = (16.0 + 0.182_59 * r + 0.614_23 * g + 0.062_01 * b + d) as u8;
                        sum[0] += r;
                        sum[1] += g;
                        sum[2] += b;
                    }
                }
                let [r, g, b] = sum.map(|c| c * 0.25);
                let at = chroma + x / 2;
                self.u[at] = (128.5 - 0.100_64 * r - 0.338_57 * g + 0.439_22 * b) as u8;
                self.v[at] = (128.5 + 0.439_22 * r - 0.398_94 * g - 0.040_27 * b) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_black_and_red_are_where_bt709_has_them() {
        for (rgb, want) in [
            ([255.0, 255.0, 255.0], (235, 128, 128)),
            ([0.0, 0.0, 0.0], (16, 128, 128)),
            ([255.0, 0.0, 0.0], (63, 102, 240)),
        ] {
            let mut canvas = Canvas::new(64, 64);
            canvas.pixels.fill([rgb[0], rgb[1], rgb[2], 1.0]);
            let mut out = Yuv::new(64, 64);
            out.take(&canvas);
            let middle = 32 * 64 + 32;
            let got = (out.y[middle], out.u[16 * 32 + 16], out.v[16 * 32 + 16]);
            let near = |a: u8, b: u8| a.abs_diff(b) <= 2;
            assert!(
                near(got.0, want.0) && near(got.1, want.1) && near(got.2, want.2),
                "{rgb:?}: {got:?}, wanted {want:?}"
            );
        }
    }
}
