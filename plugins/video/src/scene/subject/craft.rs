//! Ship, balloon, rocket.

use super::Cue;
use crate::scene::canvas::{Canvas, Paint, Point};
use crate::scene::math::{Rng, bell, fract, lerp, smooth, wave};
use crate::scene::palette::{mix, shade};
use crate::scene::pen::{Pen, curve, downward, ink, sideward};
use crate::words::{Hour, Rgb};

/// A sailing boat with two sails; the water line is y = 0.
pub(super) fn ship(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let sail = p.lit([246.0, 240.0, 226.0]);
    let hull = p.accent;
    let wood = mix(p.lit([116.0, 82.0, 56.0]), p.near, 0.25);
    let full = 0.03 * wave(cue.t * 0.3 + cue.own) + 0.05 * cue.stage.scene.wind.min(1.6);
    pen.line(&[(0.02, 0.0), (0.02, -0.98)], 0.02, 0.011, ink(wood, 1.0));
    // The sails bulge with the wind.
    let main = bulged((-0.015, -0.94), (-0.38, -0.15), (-0.015, -0.14), full);
    let (lit, shadow) = (mix(sail, p.glow, 0.12), mix(shade(sail, 0.66), p.sky[0], 0.22));
    pen.shaded(&main, sideward(-0.4, ink(shadow, 1.0), 0.02, ink(lit, 1.0)));
    let jib = bulged((0.04, -0.86), (0.42, -0.14), (0.05, -0.15), -full * 1.2);
    pen.shaded(&jib, sideward(0.04, ink(lit, 1.0), 0.45, ink(shadow, 1.0)));
    for y in [0.35, 0.6] {
        let x = -0.015 - 0.365 * y;
        let from = (x * 0.98 - full * 0.4, -0.94 + 0.79 * y);
        pen.line(&[from, (-0.02, -0.94 + 0.79 * y + 0.02)], 0.006, 0.006, ink(shadow, 0.6));
    }
    pen.line(&[(-0.4, -0.125), (0.03, -0.13)], 0.014, 0.014, ink(wood, 1.0));
    let body = [(-0.42, -0.1), (0.5, -0.12), (0.36, 0.06), (0.2, 0.1), (-0.3, 0.1), (-0.38, 0.04)];
    pen.shaded(&body, downward(-0.12, ink(mix(hull, p.glow, 0.12), 1.0), 0.1, ink(shade(hull, 0.42), 1.0)));
    let rail = mix(sail, hull, 0.15);
    pen.line(&[(-0.425, -0.1), (0.51, -0.12)], 0.022, 0.018, ink(rail, 1.0));
    let wave_of = |i: usize| wave(cue.t * 0.6 - i as f32 * 0.16) * 0.014;
    let pennant: Vec<Point> = (0..5).map(|i| (0.02 - i as f32 * 0.035, -0.96 + wave_of(i))).collect();
    pen.line(&pennant, 0.04, 0.008, ink(p.accent, 1.0));
    if matches!(cue.stage.scene.hour, Hour::Night | Hour::Dusk) {
        pen.glow((-0.34, -0.14), 0.16, p.lamp, 0.55);
        pen.disc((-0.34, -0.14), 0.013, ink([255.0, 238.0, 200.0], 1.0));
    }
}

/// A triangle whose edge from `peak` to `clew` bulges by `by`.
fn bulged(peak: Point, clew: Point, tack: Point, by: f32) -> Vec<Point> {
    let mut shape = vec![tack];
    shape.extend((0..=8).map(|i| {
        let s = i as f32 / 8.0;
        let out = bell(s * 2.0 - 1.0) * by;
        (lerp(peak.0, clew.0, s) - out, lerp(peak.1, clew.1, s) - out.abs() * 0.3)
    }));
    shape
}

/// What a ship leaves on the water at `at`: its reflection and a little foam.
pub(super) fn wake(canvas: &mut Canvas, cue: &Cue<'_>, at: Point, size: f32) {
    let p = &cue.stage.palette;
    let mut pen = Pen::new(canvas, at, size);
    let sail = mix(p.lit([246.0, 240.0, 226.0]), p.water, 0.45);
    for i in 0..14 {
        let y = 0.02 + i as f32 * 0.034;
        let half = (0.42 - 0.3 * y / 0.5) * (0.75 + 0.25 * wave(cue.t * 0.5 + i as f32 * 0.31));
        let x = 0.05 * wave(cue.t * 0.37 + i as f32 * 0.23);
        let c = if i < 3 { shade(p.accent, 0.6) } else { sail };
        let k = 0.34 * (1.0 - i as f32 / 14.0);
        pen.oval((x, y), half, 0.012, Paint::Flat(ink(c, k)));
    }
    let foam = mix(p.lit([244.0, 248.0, 252.0]), p.sky[2], 0.25);
    for i in 0..9 {
        let x = -0.46 + i as f32 * 0.12;
        let y = 0.008 + 0.01 * wave(cue.t * 0.8 + i as f32 * 0.27);
        pen.oval((x, y), 0.08, 0.011, Paint::Flat(ink(foam, 0.5)));
    }
}

/// A hot-air balloon; its middle is the origin.
pub(super) fn balloon(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let mut rng = Rng::new(cue.stage.scene.seed ^ 0xba11);
    // Others of its kind, far away.
    let others = [(-1.05, -0.22, 0.2), (0.72, 0.3, 0.13), (-1.7, 0.28, 0.1)];
    for (x, y, size) in others {
        let sway = 0.03 * wave(cue.t * 0.09 + x);
        let hue = *rng.pick(&[[226.0, 120.0, 90.0], [110.0, 160.0, 220.0], [240.0, 200.0, 110.0]]);
        let hue = mix(cue.stage.palette.lit(hue), cue.stage.palette.far, 0.45);
        one_balloon(&mut pen.moved((x, y + sway), size, 0.0), cue, hue, 0.4);
    }
    let lean = 0.006 * wave(cue.t * 0.13 + cue.own);
    one_balloon(&mut pen.moved((0.0, 0.0), 1.0, lean), cue, cue.stage.palette.accent, 1.0);
}

fn one_balloon(pen: &mut Pen<'_>, cue: &Cue<'_>, colour: Rgb, detail: f32) {
    let p = &cue.stage.palette;
    let pale = mix(p.lit([250.0, 240.0, 220.0]), colour, 0.1);
    let burn = smooth(0.1, 0.7, wave(cue.t * 0.24 + cue.own));
    // Half the width of the envelope at heights from the crown to the mouth.
    let outline: [(f32, f32); 8] = [
        (0.0, -0.5),
        (0.16, -0.475),
        (0.29, -0.37),
        (0.335, -0.22),
        (0.3, -0.06),
        (0.21, 0.08),
        (0.115, 0.2),
        (0.075, 0.25),
    ];
    let gores = 9;
    for gore in 0..gores {
        // Seen from the side, gores grow narrow towards the edge.
        let edge = |i: usize| wave((i as f32 / gores as f32 - 0.5) * 0.5);
        let (a, b) = (edge(gore), edge(gore + 1));
        let mut shape: Vec<Point> = outline.iter().map(|&(x, y)| (x * a, y)).collect();
        shape.extend(outline.iter().rev().map(|&(x, y)| (x * b, y)));
        let base = if gore % 2 == 0 { colour } else { pale };
        let middle = (a + b) * 0.5;
        let light = 1.08 - 0.5 * smooth(-0.5, 1.1, middle);
        let c = mix(shade(base, light), p.near, 0.18 * smooth(0.2, 1.0, middle));
        let warm = mix(c, [255.0, 196.0, 110.0], 0.4 * burn * (1.0 - p.daylight * 0.7));
        pen.shaded(&shape, downward(-0.5, ink(mix(c, p.glow, 0.1), 1.0), 0.25, ink(warm, 1.0)));
    }
    pen.oval((0.0, 0.25), 0.075, 0.014, Paint::Flat(ink(shade(colour, 0.35), 1.0)));
    let rope = mix(p.near, colour, 0.2);
    for x in [-0.055, -0.02, 0.02, 0.055] {
        pen.line(&[(x * 1.25, 0.25), (x, 0.39)], 0.006, 0.006, ink(rope, 0.9 * detail.max(0.6)));
    }
    let basket = p.lit([150.0, 104.0, 62.0]);
    let shape = [(-0.064, 0.385), (0.064, 0.385), (0.052, 0.48), (-0.052, 0.48)];
    pen.shaded(&shape, sideward(-0.06, ink(basket, 1.0), 0.07, ink(shade(basket, 0.5), 1.0)));
    pen.rectangle((-0.07, 0.375), (0.07, 0.392), Paint::Flat(ink(shade(basket, 0.6), 1.0)));
    if burn > 0.05 {
        let tall = 0.09 * burn * (0.85 + 0.15 * wave(cue.t * 3.7));
        let flame = [(-0.016, 0.335), (0.0, 0.335 - tall), (0.016, 0.335), (0.0, 0.345)];
        pen.blob(&flame, Paint::Flat(ink([255.0, 214.0, 120.0], 0.95)));
        pen.glow((0.0, 0.25), 0.4, [255.0, 170.0, 80.0], 0.5 * burn * detail);
    }
}

/// A rocket that climbs on its flame, leaning into its way.
pub(super) fn rocket(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let shake = 0.004 * wave(cue.t * 5.3) + 0.003 * wave(cue.t * 7.9);
    let lean = 0.1 + 0.012 * wave(cue.t * 0.11 + cue.own);
    let mut pen = pen.moved((shake, shake * 0.7), 1.0, lean);
    trail(&mut pen, cue);
    let white = p.lit([240.0, 240.0, 244.0]);
    let (lit, dark) = (mix(white, p.glow, 0.12), mix(shade(white, 0.4), p.sky[0], 0.3));
    let fin_ink = |c: Rgb| sideward(-0.24, ink(mix(c, p.glow, 0.12), 1.0), 0.26, ink(shade(c, 0.45), 1.0));
    for side in [-1.0, 1.0] {
        let fin = [(side * 0.1, 0.06), (side * 0.235, 0.27), (side * 0.225, 0.38), (side * 0.09, 0.3)];
        pen.shaded(&fin, fin_ink(p.accent));
    }
    let hull = curve(&[
        (0.0, -0.5),
        (0.085, -0.35),
        (0.128, -0.12),
        (0.118, 0.12),
        (0.08, 0.32),
        (-0.08, 0.32),
        (-0.118, 0.12),
        (-0.128, -0.12),
        (-0.085, -0.35),
    ]);
    pen.shaded(&hull, sideward(-0.12, ink(lit, 1.0), 0.13, ink(dark, 1.0)));
    let nose = curve(&[
        (0.0, -0.505),
        (0.05, -0.42),
        (0.084, -0.335),
        (0.0, -0.315),
        (-0.084, -0.335),
        (-0.05, -0.42),
    ]);
    pen.shaded(&nose, fin_ink(p.accent));
    pen.rectangle((-0.085, 0.29), (0.085, 0.335), Paint::Flat(ink(shade(dark, 0.6), 1.0)));
    pen.polygon(
        &[(-0.012, 0.1), (0.012, 0.1), (0.012, 0.37), (-0.012, 0.37)],
        ink(shade(p.accent, 0.8), 1.0),
    );
    for (y, r) in [(-0.14, 0.06), (0.04, 0.036)] {
        pen.disc((0.0, y), r, ink(shade(dark, 0.7), 1.0));
        let glass = mix([120.0, 200.0, 235.0], p.lamp, 0.25);
        pen.disc((0.0, y), r * 0.74, ink(glass, 1.0));
        pen.disc((-r * 0.24, y - r * 0.26), r * 0.22, ink([255.0; 3], 0.8));
    }
}

/// The flame below a rocket, and the sparks and smoke behind it.
fn trail(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let smoke = mix([150.0, 146.0, 160.0], cue.stage.palette.glow, 0.3);
    for puff in 0..20 {
        let age = fract(cue.t * 0.5 + puff as f32 / 20.0);
        let x = 0.06 * wave(puff as f32 * 0.37) * (0.4 + age * 2.2);
        let k = smooth(0.0, 0.12, age) * (1.0 - age);
        pen.disc((x, 0.5 + age * 1.35), lerp(0.05, 0.17, age), ink(smoke, 0.16 * k));
    }
    let beat = 1.0 + 0.12 * wave(cue.t * 3.1) + 0.07 * wave(cue.t * 5.7);
    pen.glow((0.0, 0.45), 0.55, [255.0, 140.0, 60.0], 0.85 * beat);
    for (half, tall, c) in [
        (0.085, 0.52, [255.0, 110.0, 40.0]),
        (0.06, 0.38, [255.0, 190.0, 70.0]),
        (0.032, 0.24, [255.0, 246.0, 210.0]),
    ] {
        let tip = 0.33 + tall * beat;
        let flame = [
            (0.0, 0.3),
            (half, 0.38),
            (half * 0.5, lerp(0.36, tip, 0.6)),
            (0.0, tip),
            (-half * 0.5, lerp(0.36, tip, 0.6)),
            (-half, 0.38),
        ];
        pen.blob(&flame, downward(0.33, ink(c, 0.95), tip, ink(c, 0.2)));
    }
    for spark in 0..16 {
        let age = fract(cue.t * 0.9 + spark as f32 * 0.618);
        let x = 0.13 * wave(spark as f32 * 0.41) * age;
        pen.disc((x, 0.45 + age * 0.9), 0.009 * (1.0 - age) + 0.002, ink([255.0, 214.0, 140.0], 1.0 - age));
    }
}
