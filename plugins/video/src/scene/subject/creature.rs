//! Cat, dog, whale, birds, fish.

use super::Cue;
use crate::scene::canvas::{Canvas, Paint, Point};
use crate::scene::math::{fract, lerp, noise, smooth, wave};
use crate::scene::palette::{mix, shade};
use crate::scene::pen::{Pen, downward, ink, sideward};
use crate::words::{Place, Rgb};

/// The colours of fur: lit, in shadow.
fn fur(cue: &Cue<'_>) -> (Rgb, Rgb) {
    let p = &cue.stage.palette;
    let colour = mix(p.accent, p.near, 0.2);
    (mix(colour, p.glow, 0.22), mix(shade(colour, 0.55), p.near, 0.35))
}

/// From 0 to 1 and back, closed for a moment every few seconds.
fn eyelid(t: f32, own: f32) -> f32 {
    let since = fract(t / 3.1 + own) * 3.1;
    1.0 - smooth(0.0, 0.07, since) * smooth(0.24, 0.14, since)
}

/// A cat that sits, breathes, blinks and moves its tail.
pub(super) fn cat(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let (lit, dark) = fur(cue);
    let t = cue.t;
    let tail: Vec<Point> = (0..=10)
        .map(|i| {
            let s = i as f32 / 10.0;
            let swing = wave(t * 0.3 + cue.own - s * 0.45) * 0.1 * s * s;
            (-0.2 - 0.32 * (1.0 - (1.0 - s) * (1.0 - s)) - swing * 0.5, -0.03 - 0.44 * s * s - swing)
        })
        .collect();
    pen.line(&tail, 0.085, 0.05, ink(mix(lit, dark, 0.6), 1.0));
    if let Some(&tip) = tail.last() {
        pen.disc(tip, 0.026, ink(mix(lit, dark, 0.6), 1.0));
    }
    let breath = 0.006 * wave(t * 0.22);
    let body = [
        (0.02, -0.56 - breath),
        (0.13, -0.46),
        (0.18, -0.28),
        (0.19, -0.08),
        (0.2, 0.0),
        (0.0, 0.015),
        (-0.2, 0.01),
        (-0.27, -0.08),
        (-0.25, -0.24),
        (-0.16, -0.42 - breath),
    ];
    let coat = sideward(-0.3, ink(dark, 1.0), 0.22, ink(lit, 1.0));
    pen.blob(&body, coat);
    for x in [0.07, 0.16] {
        pen.line(&[(x - 0.02, -0.34), (x, 0.0)], 0.09, 0.062, ink(mix(lit, dark, 0.35), 1.0));
        pen.oval((x + 0.02, -0.005), 0.055, 0.026, Paint::Flat(ink(lit, 1.0)));
    }
    pen.oval((0.05, -0.38), 0.07, 0.1, Paint::Flat(ink(mix(lit, [255.0; 3], 0.28), 0.5)));
    let nod = 0.006 * wave(t * 0.19 + cue.own);
    let mut head = pen.moved((0.06, -0.62), 1.0, nod);
    for side in [-1.0, 1.0] {
        let twitch = 0.02 * smooth(0.9, 1.0, wave(t * 0.41 + side * 0.2));
        let ear = [(side * 0.05, -0.1), (side * (0.145 + twitch), -0.235), (side * 0.165, -0.03)];
        head.polygon(&ear, ink(mix(lit, dark, 0.4), 1.0));
        let inner = [(side * 0.085, -0.11), (side * (0.137 + twitch), -0.2), (side * 0.147, -0.07)];
        head.polygon(&inner, ink(mix(lit, [232.0, 150.0, 150.0], 0.5), 0.8));
    }
    let face = [
        (0.0, -0.135),
        (0.12, -0.1),
        (0.175, 0.01),
        (0.1, 0.1),
        (0.0, 0.125),
        (-0.1, 0.1),
        (-0.175, 0.01),
        (-0.12, -0.1),
    ];
    head.blob(&face, sideward(-0.18, ink(mix(lit, dark, 0.5), 1.0), 0.16, ink(lit, 1.0)));
    head.oval((0.01, 0.055), 0.075, 0.05, Paint::Flat(ink(mix(lit, [255.0; 3], 0.35), 0.7)));
    let open = eyelid(t, cue.own);
    for x in [-0.07, 0.075] {
        head.oval((x, -0.015), 0.04, 0.036 * open + 0.004, Paint::Flat(ink([214.0, 226.0, 110.0], 1.0)));
        head.oval((x, -0.015), 0.013, 0.032 * open, Paint::Flat(ink([16.0, 16.0, 20.0], 1.0)));
        head.disc((x + 0.012, -0.028), 0.008 * open, ink([255.0; 3], 0.9));
    }
    head.polygon(&[(-0.018, 0.034), (0.022, 0.034), (0.002, 0.056)], ink([214.0, 120.0, 120.0], 1.0));
    let whisker = ink(mix(lit, [255.0; 3], 0.6), 0.6);
    for (x, y, dy) in
        [(0.06, 0.055, -0.014), (0.06, 0.068, 0.016), (-0.055, 0.055, -0.014), (-0.055, 0.068, 0.016)]
    {
        let out = if x > 0.0 { 0.15 } else { -0.15 };
        head.line(&[(x, y), (x + out, y + dy)], 0.007, 0.003, whisker);
    }
}

/// A dog (or fox, or wolf) that sits, pants and wags its tail.
pub(super) fn dog(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let (lit, dark) = fur(cue);
    let pale = mix(lit, [255.0, 248.0, 236.0], 0.55);
    let t = cue.t;
    let wag = wave(t * 0.9 + cue.own);
    let tail: Vec<Point> = (0..=7)
        .map(|i| {
            let s = i as f32 / 7.0;
            (-0.22 - 0.24 * s + 0.02 * wag * s, -0.06 - 0.26 * s * s + 0.09 * wag * s)
        })
        .collect();
    pen.line(&tail, 0.07, 0.1, ink(mix(lit, dark, 0.5), 1.0));
    if let Some(&tip) = tail.last() {
        pen.disc(tip, 0.05, ink(pale, 1.0));
    }
    let body = [
        (0.05, -0.6),
        (0.16, -0.5),
        (0.2, -0.3),
        (0.18, -0.06),
        (0.17, 0.01),
        (-0.02, 0.015),
        (-0.2, 0.01),
        (-0.28, -0.1),
        (-0.22, -0.3),
        (-0.09, -0.48),
    ];
    pen.blob(&body, sideward(-0.28, ink(dark, 1.0), 0.22, ink(lit, 1.0)));
    let chest = [(0.12, -0.52), (0.19, -0.36), (0.15, -0.16), (0.06, -0.26)];
    pen.blob(&chest, Paint::Flat(ink(pale, 0.85)));
    for x in [0.06, 0.16] {
        pen.line(&[(x, -0.36), (x + 0.005, 0.0)], 0.09, 0.07, ink(mix(lit, dark, 0.3), 1.0));
        pen.oval((x + 0.03, -0.006), 0.06, 0.028, Paint::Flat(ink(pale, 1.0)));
    }
    let nod = 0.008 * wave(t * 0.27 + cue.own);
    let mut head = pen.moved((0.12, -0.68), 1.0, nod);
    head.polygon(&[(-0.13, -0.05), (-0.11, -0.27), (0.0, -0.11)], ink(dark, 1.0));
    let skull =
        [(-0.14, 0.0), (-0.1, -0.12), (0.02, -0.14), (0.11, -0.08), (0.15, 0.0), (0.08, 0.1), (-0.06, 0.12)];
    head.blob(&skull, sideward(-0.15, ink(mix(lit, dark, 0.5), 1.0), 0.14, ink(lit, 1.0)));
    let pant = 0.016 * (0.5 + 0.5 * wave(t * 1.1));
    head.blob(
        &[(0.14, 0.05), (0.2, 0.06), (0.2, 0.12 + pant), (0.15, 0.11 + pant)],
        Paint::Flat(ink([226.0, 112.0, 118.0], 1.0)),
    );
    let muzzle = [(0.06, -0.03), (0.17, -0.015), (0.27, 0.02), (0.26, 0.065), (0.13, 0.085), (0.04, 0.07)];
    head.blob(&muzzle, Paint::Flat(ink(mix(lit, pale, 0.6), 1.0)));
    head.oval((0.268, 0.018), 0.026, 0.022, Paint::Flat(ink([22.0, 20.0, 24.0], 1.0)));
    head.polygon(&[(-0.05, -0.09), (-0.005, -0.29), (0.07, -0.1)], ink(mix(lit, dark, 0.35), 1.0));
    head.polygon(
        &[(-0.02, -0.11), (0.0, -0.23), (0.04, -0.11)],
        ink(mix(lit, [232.0, 150.0, 150.0], 0.4), 0.8),
    );
    let open = eyelid(t, cue.own);
    head.oval((0.065, -0.035), 0.022, 0.024 * open + 0.003, Paint::Flat(ink([20.0, 18.0, 22.0], 1.0)));
    head.disc((0.072, -0.045), 0.007 * open, ink([255.0; 3], 0.95));
}

/// A whale that swims to the right; its middle is the origin.
pub(super) fn whale(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let back = mix(p.lit(mix([64.0, 92.0, 128.0], cue.stage.scene.accent, 0.12)), p.far, 0.1);
    let belly = mix(p.lit([226.0, 234.0, 240.0]), back, 0.1);
    let dark = mix(shade(back, 0.55), p.near, 0.3);
    let stroke = cue.t * 0.27 + cue.own;
    // The body bends like a wave that runs to the tail.
    let bend = |x: f32| {
        let tail = smooth(0.25, -0.75, x);
        0.085 * tail * wave(stroke + x * 0.55)
    };
    let bent = |points: &[Point]| -> Vec<Point> { points.iter().map(|&(x, y)| (x, y + bend(x))).collect() };
    let fluke_at = (-0.62, bend(-0.62));
    let tilt = 0.09 * wave(stroke - 0.46);
    let mut fluke = pen.moved(fluke_at, 1.0, tilt);
    let shape = [
        (0.06, -0.022),
        (-0.06, -0.05),
        (-0.17, -0.15),
        (-0.21, -0.13),
        (-0.13, 0.0),
        (-0.2, 0.1),
        (-0.16, 0.13),
        (-0.05, 0.045),
        (0.06, 0.02),
    ];
    fluke.blob(&shape, Paint::Flat(ink(mix(back, dark, 0.45), 1.0)));
    let body = bent(&[
        (0.56, 0.0),
        (0.5, -0.085),
        (0.36, -0.145),
        (0.14, -0.17),
        (-0.1, -0.14),
        (-0.32, -0.075),
        (-0.52, -0.03),
        (-0.64, -0.018),
        (-0.64, 0.018),
        (-0.5, 0.035),
        (-0.28, 0.09),
        (-0.04, 0.15),
        (0.2, 0.165),
        (0.42, 0.12),
        (0.54, 0.06),
    ]);
    pen.blob(&body, downward(-0.17, ink(mix(back, p.glow, 0.16), 1.0), 0.17, ink(dark, 1.0)));
    let under = bent(&[
        (0.555, 0.02),
        (0.44, 0.045),
        (0.24, 0.06),
        (0.02, 0.08),
        (-0.2, 0.085),
        (-0.04, 0.148),
        (0.2, 0.162),
        (0.42, 0.118),
        (0.54, 0.058),
    ]);
    pen.blob(&under, Paint::Flat(ink(belly, 0.95)));
    for i in 0..5 {
        let y = 0.072 + i as f32 * 0.018;
        let line = bent(&[(0.5 - i as f32 * 0.03, y - 0.01), (0.3, y + 0.004), (0.06, y + 0.012)]);
        pen.line(&line, 0.005, 0.004, ink(mix(belly, dark, 0.6), 0.8));
    }
    let flap = 0.03 * wave(stroke * 0.8 + 0.3);
    let fin = bent(&[
        (0.2, 0.07),
        (0.12, 0.1),
        (-0.02, 0.24 + flap),
        (-0.08, 0.25 + flap),
        (0.02, 0.12),
        (0.1, 0.06),
    ]);
    pen.blob(&fin, Paint::Flat(ink(mix(back, dark, 0.55), 1.0)));
    let dorsal = bent(&[(-0.12, -0.13), (-0.2, -0.185), (-0.24, -0.18), (-0.22, -0.1)]);
    pen.blob(&dorsal, Paint::Flat(ink(mix(back, dark, 0.3), 1.0)));
    pen.line(&bent(&[(0.555, 0.018), (0.46, 0.035), (0.38, 0.02)]), 0.008, 0.004, ink(dark, 0.9));
    let eye = (0.37, -0.012 + bend(0.37));
    pen.disc(eye, 0.017, ink([14.0, 18.0, 26.0], 1.0));
    pen.disc((eye.0 + 0.005, eye.1 - 0.005), 0.005, ink([255.0; 3], 0.9));
}

/// Water thrown up where a whale leaves or enters the surface.
pub(super) fn splash(canvas: &mut Canvas, cue: &Cue<'_>, at: Point, size: f32, phase: f32) {
    let p = &cue.stage.palette;
    let foam = mix(p.lit([242.0, 248.0, 252.0]), p.sky[2], 0.2);
    let mut pen = Pen::new(canvas, at, size);
    for (start, reach) in [(0.0, 0.5), (0.6, 0.8)] {
        let age = (phase - start) / 0.32;
        if !(0.0..1.0).contains(&age) {
            continue;
        }
        for i in 0..40 {
            let spread = (noise(i as f32 * 3.7, 0.5, 7) - 0.5) * 2.0;
            let up = noise(i as f32 * 1.9, 8.5, 7) * reach;
            let x = spread * (0.3 + 0.5 * age);
            let y = -up * 4.0 * age * (1.0 - age) * (1.0 - spread * spread * 0.6);
            let r = lerp(0.03, 0.008, age) * (0.5 + up);
            pen.disc((x, y), r, ink(foam, 0.8 * (1.0 - age)));
        }
    }
    for i in 0..12 {
        let x = (i as f32 - 5.5) * 0.09;
        let y = 0.01 * wave(cue.t * 0.7 + i as f32 * 0.31);
        pen.oval((x, y), 0.09, 0.014, Paint::Flat(ink(foam, 0.42)));
    }
}

/// Birds in a loose wedge.
pub(super) fn flock(canvas: &mut Canvas, cue: &Cue<'_>) {
    let (stage, t) = (cue.stage, cue.t);
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(131);
    let way = stage.pan;
    let lead = (
        stage.width * 0.5 + way * u * (0.26 + 0.075 * (t - stage.seconds * 0.5)),
        stage.height * 0.27 + u * 0.015 * wave(t * 0.12),
    );
    // Dark against a bright sky, bright against a dark one.
    let dark_sky = p.sky[1][1] < 90.0;
    let body = if dark_sky { [206.0, 212.0, 226.0] } else { mix(p.near, p.accent, 0.1) };
    for bird in 0..13 {
        let rank = ((bird + 1) / 2) as f32;
        let side = if bird % 2 == 0 { 1.0 } else { -1.0 };
        let jitter = (rng.range(-0.02, 0.02), rng.range(-0.02, 0.02));
        let x = lead.0 - way * u * (rank * 0.085 + jitter.0);
        let y = lead.1 + u * (rank * 0.045 * side * 0.8 + jitter.1 + 0.01 * wave(t * 0.3 + rank));
        let size = u * lerp(0.105, 0.07, rank / 7.0) * if bird == 0 { 1.15 } else { 1.0 };
        // Some beats, then a glide.
        let beat = rng.unit();
        let effort = smooth(-0.7, 0.1, wave(t * 0.13 + beat));
        let flap = wave(t * 1.25 + beat) * effort;
        let pen = &mut Pen::new(canvas, (x, y - flap * size * 0.06), size).facing(way < 0.0);
        bird_shape(pen, body, mix(body, p.near, 0.45), flap);
    }
}

/// A bird that flies to the right, one unit from wing tip to wing tip.
fn bird_shape(pen: &mut Pen<'_>, light: Rgb, dark: Rgb, flap: f32) {
    let wing = |side: f32| -> [Point; 5] {
        let (mid, tip) = (-0.16 - 0.12 * flap, -0.1 - 0.36 * flap);
        [
            (0.1, -0.02),
            (0.05 + side * 0.16, mid),
            (-0.12 + side * 0.34, tip),
            (-0.05 + side * 0.12, mid + 0.09),
            (-0.1, 0.03),
        ]
    };
    pen.polygon(&wing(-1.0), ink(dark, 1.0));
    let body = [
        (0.3, -0.02),
        (0.2, -0.06),
        (0.0, -0.06),
        (-0.22, -0.02),
        (-0.36, -0.03),
        (-0.34, 0.03),
        (-0.1, 0.06),
        (0.14, 0.05),
    ];
    pen.blob(&body, Paint::Flat(ink(light, 1.0)));
    pen.polygon(&wing(1.0), ink(mix(light, dark, 0.3), 1.0));
    pen.polygon(&[(0.28, -0.035), (0.37, -0.005), (0.28, 0.005)], ink([240.0, 170.0, 70.0], 1.0));
}

/// A shoal of fish, and one large one before it.
pub(super) fn shoal(canvas: &mut Canvas, cue: &Cue<'_>) {
    let (stage, t) = (cue.stage, cue.t);
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(132);
    let deep = stage.scene.place == Place::Deep;
    let level = stage.height * if deep { 0.42 } else { 0.32 };
    for i in 0..30 {
        let size = u * rng.range(0.045, 0.08);
        let (dx, dy) = (rng.range(-0.75, 0.75), rng.range(-0.26, 0.26));
        let turn = wave(t * 0.1 + dx * 0.3);
        let x = stage.width * 0.5 + stage.pan * u * (dx + 0.06 * (t - stage.seconds * 0.5));
        let y = level + u * (dy * (1.0 - dx * dx * 0.6) + 0.04 * turn);
        let c = if i % 3 == 0 { p.accent } else { mix(p.accent, p.glow, 0.45) };
        let c = mix(c, p.far, rng.range(0.15, 0.5));
        let mut pen = Pen::new(canvas, (x, y), size).facing(stage.pan < 0.0);
        let pitch = 0.02 * wave(t * 0.1 + dx * 0.3 + 0.25);
        fish(&mut pen.moved((0.0, 0.0), 1.0, pitch), c, t * 1.1 + rng.unit(), p.near);
    }
    let x = stage.spots[0] + stage.pan * u * 0.035 * (t - stage.seconds * 0.5);
    let y = level + u * (0.04 + 0.018 * wave(t * 0.2));
    let mut pen = Pen::new(canvas, (x, y), u * 0.27).facing(stage.pan < 0.0);
    fish(&mut pen, p.accent, t * 0.55, p.near);
}

/// A fish that swims to the right, one unit long.
fn fish(pen: &mut Pen<'_>, colour: Rgb, beat: f32, dark: Rgb) {
    let sway = wave(beat);
    let pale = mix(colour, [255.0, 250.0, 236.0], 0.55);
    let shadow = mix(colour, dark, 0.45);
    let tail = [
        (-0.26, 0.0),
        (-0.36 + 0.03 * sway, -0.06),
        (-0.52 + 0.07 * sway, -0.17),
        (-0.45 + 0.06 * sway, 0.0),
        (-0.52 + 0.07 * sway, 0.17),
        (-0.36 + 0.03 * sway, 0.06),
    ];
    pen.blob(&tail, Paint::Flat(ink(shadow, 0.95)));
    pen.blob(&[(0.16, -0.13), (0.0, -0.27), (-0.14, -0.24), (-0.2, -0.1)], Paint::Flat(ink(shadow, 0.95)));
    pen.blob(&[(0.04, 0.13), (-0.06, 0.24), (-0.13, 0.2), (-0.1, 0.1)], Paint::Flat(ink(shadow, 0.95)));
    let body = [
        (0.5, 0.0),
        (0.36, -0.12),
        (0.12, -0.185),
        (-0.12, -0.13),
        (-0.3, -0.03),
        (-0.3, 0.03),
        (-0.12, 0.13),
        (0.12, 0.18),
        (0.36, 0.12),
    ];
    pen.blob(&body, downward(-0.18, ink(mix(colour, shadow, 0.25), 1.0), 0.18, ink(pale, 1.0)));
    for x in [0.17, -0.04] {
        let band =
            [(x + 0.05, -0.16), (x + 0.075, 0.0), (x + 0.05, 0.15), (x, 0.15), (x + 0.02, 0.0), (x, -0.165)];
        pen.blob(&band, Paint::Flat(ink(pale, 0.75)));
    }
    pen.blob(
        &[(0.1, 0.03), (-0.03, 0.1 + 0.03 * sway), (-0.08, 0.05), (-0.01, 0.0)],
        Paint::Flat(ink(shadow, 0.9)),
    );
    pen.disc((0.34, -0.035), 0.036, ink([250.0; 3], 1.0));
    pen.disc((0.35, -0.035), 0.021, ink([14.0, 16.0, 22.0], 1.0));
}
