//! The arithmetic of the pictures: turns, noise and seeded choices.
//!
//! Owns functions whose results are the same on every machine, built from
//! operations that IEEE 754 fixes. Never calls the platform's sine or power.

/// A seeded row of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub(crate) fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[(self.next() % choices.len() as u64) as usize]
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }
}

/// The sine of an angle in turns. A rational curve, off by less than 0.002.
pub(crate) fn wave(turns: f32) -> f32 {
    let x = turns - (turns + 0.5).floor();
    let y = 8.0 * x - 16.0 * x * x.abs();
    y * (0.775 + 0.225 * y.abs())
}

/// The cosine of an angle in turns.
pub(crate) fn cowave(turns: f32) -> f32 {
    wave(turns + 0.25)
}

/// From 0 at `from` to 1 at `to`, level at both ends.
pub(crate) fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

pub(crate) fn fract(x: f32) -> f32 {
    x - x.floor()
}

/// A bell of height 1 around 0 that ends at ±1.
pub(crate) fn bell(x: f32) -> f32 {
    let k = (1.0 - x * x).max(0.0);
    k * k
}

/// A number from 0 to 1 for a cell of a grid.
pub(crate) fn cell(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841) ^ seed;
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    (h ^ (h >> 15)) as f32 / u32::MAX as f32
}

/// Smooth noise from 0 to 1 that varies over a distance of 1.
pub(crate) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (xf, yf) = (x.floor(), y.floor());
    let (xi, yi) = (xf as i32, yf as i32);
    let (tx, ty) = (smooth(0.0, 1.0, x - xf), smooth(0.0, 1.0, y - yf));
    let top = lerp(cell(xi, yi, seed), cell(xi + 1, yi, seed), tx);
    let bottom = lerp(cell(xi, yi + 1, seed), cell(xi + 1, yi + 1, seed), tx);
    lerp(top, bottom, ty)
}

/// Noise with detail down to a distance of 1 / 2^(octaves - 1).
pub(crate) fn fractal(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    let mut total = 0.0;
    for octave in 0..octaves {
        sum += weight * noise(x * scale, y * scale, seed.wrapping_add(octave * 101));
        total += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / total
}
