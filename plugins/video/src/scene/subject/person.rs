//! A robot, and someone on their way.

use super::Cue;
use crate::scene::canvas::{Paint, Point};
use crate::scene::math::{cowave, smooth, wave};
use crate::scene::palette::{mix, shade};
use crate::scene::pen::{Pen, ink, sideward};
use crate::words::{Hour, Weather};

/// A robot that waves and looks about.
pub(super) fn robot(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let (p, t) = (&cue.stage.palette, cue.t);
    let metal = mix(p.lit([196.0, 204.0, 214.0]), p.accent, 0.2);
    let dark = mix(shade(metal, 0.42), p.near, 0.4);
    let coat = |half: f32| sideward(-half, ink(mix(metal, p.glow, 0.12), 1.0), half * 1.15, ink(dark, 1.0));
    let accent = p.accent;
    let light = mix([110.0, 230.0, 255.0], p.lamp, 0.1);
    let bob = 0.008 * wave(t * 0.4);
    for x in [-0.1, 0.1] {
        pen.line(&[(x, -0.3), (x, -0.04)], 0.085, 0.085, ink(dark, 1.0));
        for y in [-0.24, -0.18, -0.12] {
            pen.line(&[(x - 0.045, y), (x + 0.045, y)], 0.012, 0.012, ink(metal, 0.5));
        }
        pen.blob(&[(x - 0.085, 0.01), (x - 0.07, -0.07), (x + 0.06, -0.075), (x + 0.105, 0.01)], coat(0.2));
    }
    let mut body = pen.moved((0.0, bob), 1.0, 0.0);
    let arm = |angle: f32, from: Point| -> [Point; 3] {
        let elbow = (from.0 + 0.16 * cowave(angle), from.1 + 0.16 * wave(angle));
        let fore = angle - 0.14 - 0.06 * wave(t * 0.8);
        [from, elbow, (elbow.0 + 0.15 * cowave(fore), elbow.1 + 0.15 * wave(fore))]
    };
    let waving = arm(-0.07 + 0.03 * wave(t * 0.8 + 0.1), (0.22, -0.53));
    let resting = [(-0.22, -0.53), (-0.29, -0.4), (-0.27 + 0.01 * wave(t * 0.3), -0.26)];
    for joints in [resting, waving] {
        body.line(&joints, 0.062, 0.05, ink(dark, 1.0));
        body.disc(joints[1], 0.034, ink(accent, 1.0));
        body.disc(joints[2], 0.046, ink(metal, 1.0));
    }
    let torso = [(-0.2, -0.6), (0.2, -0.6), (0.225, -0.5), (0.19, -0.27), (-0.19, -0.27), (-0.225, -0.5)];
    body.shaded(&torso, coat(0.22));
    body.rectangle((-0.12, -0.54), (0.12, -0.38), Paint::Flat(ink(mix(dark, p.near, 0.5), 1.0)));
    for i in 0..5 {
        let tall = 0.03 + 0.035 * (0.5 + 0.5 * wave(t * 0.9 + i as f32 * 0.23));
        let x = -0.09 + i as f32 * 0.04;
        body.rectangle((x, -0.4 - tall), (x + 0.022, -0.4), Paint::Flat(ink(light, 0.9)));
    }
    for x in [-0.06, 0.0, 0.06] {
        body.disc((x, -0.325), 0.015, ink(accent, 1.0));
    }
    body.rectangle((-0.05, -0.66), (0.05, -0.59), Paint::Flat(ink(dark, 1.0)));
    let look = 0.03 * smooth(-0.3, 0.3, wave(t * 0.13 + cue.own));
    let mut head = body.moved((0.0, -0.65), 1.0, 0.008 * wave(t * 0.21));
    head.line(&[(0.0, -0.26), (0.0, -0.34)], 0.014, 0.01, ink(dark, 1.0));
    let blink = smooth(0.0, 0.5, wave(t * 0.6));
    head.disc((0.0, -0.35), 0.026, ink(mix(accent, [255.0, 120.0, 100.0], blink), 1.0));
    head.glow((0.0, -0.35), 0.14, [255.0, 110.0, 90.0], blink * 0.8);
    for x in [-0.185, 0.185] {
        head.oval((x, -0.13), 0.03, 0.05, Paint::Flat(ink(accent, 1.0)));
    }
    let skull = [
        (-0.17, -0.02),
        (-0.18, -0.14),
        (-0.15, -0.25),
        (0.0, -0.27),
        (0.15, -0.25),
        (0.18, -0.14),
        (0.17, -0.02),
        (0.0, 0.0),
    ];
    head.blob(&skull, coat(0.18));
    let visor = [(-0.13, -0.08), (-0.13, -0.18), (0.0, -0.2), (0.13, -0.18), (0.13, -0.08), (0.0, -0.06)];
    head.blob(&visor, Paint::Flat(ink(mix(p.near, [10.0, 14.0, 24.0], 0.5), 1.0)));
    let open = 1.0 - smooth(0.93, 0.99, wave(t * 0.31 + cue.own));
    for x in [-0.055, 0.055] {
        head.oval((x + look, -0.13), 0.027, 0.03 * open + 0.004, Paint::Flat(ink(light, 1.0)));
        head.glow((x + look, -0.13), 0.12, light, 0.5);
    }
}

/// Someone in a long coat, with an umbrella in the rain or a lantern at night.
pub(super) fn traveller(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let (stage, t) = (cue.stage, cue.t);
    let p = &stage.palette;
    let coat = mix(p.accent, p.near, 0.25);
    let dark = mix(shade(coat, 0.45), p.near, 0.4);
    let skin = p.lit([232.0, 190.0, 160.0]);
    let wet = matches!(stage.scene.weather, Weather::Rain | Weather::Storm | Weather::Snow);
    let late = matches!(stage.scene.hour, Hour::Night | Hour::Dusk);
    let step = 0.006 * wave(t * 0.5);
    let blow = 0.03 * stage.scene.wind * (0.6 + 0.4 * wave(t * 0.45 + cue.own));
    for (x, k) in [(-0.05, 1.0), (0.06, -1.0)] {
        pen.line(&[(x, -0.3), (x + 0.01 * k, -0.02)], 0.07, 0.05, ink(dark, 1.0));
        pen.oval((x + 0.03, -0.012), 0.055, 0.024, Paint::Flat(ink(shade(dark, 0.6), 1.0)));
    }
    let mut body = pen.moved((0.0, step), 1.0, 0.0);
    let scarf: Vec<Point> = (0..7)
        .map(|i| {
            let s = i as f32 / 6.0;
            (
                -0.05 - s * 0.26 * stage.scene.wind.min(1.6),
                -0.72 + s * 0.1 + 0.035 * s * wave(t * 0.6 - s * 0.7),
            )
        })
        .collect();
    let bright = mix(p.lit([240.0, 214.0, 150.0]), p.accent, 0.2);
    body.line(&scarf, 0.07, 0.05, ink(bright, 1.0));
    let cloak = [
        (0.0, -0.76),
        (0.1, -0.7),
        (0.13, -0.5),
        (0.17, -0.2),
        (0.06, -0.16),
        (-0.1, -0.15),
        (-0.2 - blow * 1.6, -0.18),
        (-0.15 - blow, -0.36),
        (-0.11, -0.6),
        (-0.08, -0.72),
    ];
    body.blob(&cloak, sideward(-0.2, ink(dark, 1.0), 0.17, ink(mix(coat, p.glow, 0.1), 1.0)));
    body.line(&[(0.1, -0.66), (0.1, -0.2)], 0.008, 0.008, ink(dark, 0.6));
    body.disc((0.02, -0.84), 0.085, ink(skin, 1.0));
    let hair = [
        (-0.07, -0.79),
        (-0.095, -0.88),
        (-0.03, -0.945),
        (0.05, -0.935),
        (0.1, -0.88),
        (0.03, -0.88),
        (-0.03, -0.83),
    ];
    body.blob(&hair, Paint::Flat(ink(mix(p.near, p.lit([92.0, 60.0, 44.0]), 0.6), 1.0)));
    body.line(&[(-0.06, -0.75), (0.09, -0.755)], 0.06, 0.05, ink(bright, 1.0));
    let hand = (0.24, -0.5);
    body.line(&[(0.04, -0.66), (0.15, -0.52), hand], 0.075, 0.05, ink(mix(coat, dark, 0.4), 1.0));
    body.disc(hand, 0.028, ink(skin, 1.0));
    if wet {
        umbrella(&mut body.moved(hand, 1.0, 0.01 * wave(t * 0.3) - 0.015), cue);
    } else if late {
        lantern(&mut body.moved(hand, 1.0, 0.015 * wave(t * 0.33)), cue);
    } else {
        let stick = mix(p.lit([130.0, 92.0, 60.0]), p.near, 0.2);
        body.line(&[(0.25, -0.78), (0.23, 0.0)], 0.022, 0.026, ink(stick, 1.0));
    }
}

fn umbrella(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let cloth = mix(shade(p.accent, 1.15), [230.0, 80.0, 70.0], 0.2);
    pen.line(&[(0.0, 0.08), (-0.06, -0.72)], 0.018, 0.014, ink(p.near, 1.0));
    let arc = |i: usize| {
        let turns = 0.5 + i as f32 / 32.0;
        (-0.06 + 0.46 * cowave(turns), -0.4 + 0.34 * wave(turns))
    };
    let mut shape: Vec<Point> = (0..=16).map(arc).collect();
    for rib in 0..4 {
        let x = 0.4 - rib as f32 * 0.23;
        shape.push((x - 0.055, -0.44));
        shape.push((x - 0.17, -0.4));
    }
    pen.shaded(&shape, sideward(-0.5, ink(shade(cloth, 0.6), 1.0), 0.4, ink(mix(cloth, p.glow, 0.15), 1.0)));
    for x in [-0.29, -0.06, 0.17] {
        pen.line(&[(-0.06, -0.74), (x, -0.41)], 0.006, 0.006, ink(shade(cloth, 0.5), 0.8));
    }
    pen.line(&[(-0.06, -0.73), (-0.062, -0.79)], 0.014, 0.006, ink(p.near, 1.0));
}

fn lantern(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let unrest = 1.0 + 0.06 * wave(cue.t * 1.9) + 0.05 * wave(cue.t * 2.7);
    pen.glow((0.0, 0.12), 1.5, p.lamp, 0.4 * unrest);
    pen.glow((0.0, 0.12), 0.5, p.lamp, 0.7 * unrest);
    pen.line(&[(0.0, 0.0), (0.0, 0.06)], 0.01, 0.01, ink(p.near, 1.0));
    pen.polygon(&[(-0.045, 0.09), (0.0, 0.05), (0.045, 0.09)], ink(p.near, 1.0));
    pen.rectangle((-0.04, 0.09), (0.04, 0.18), Paint::Flat(ink([255.0, 228.0, 160.0], 1.0)));
    pen.rectangle((-0.046, 0.175), (0.046, 0.195), Paint::Flat(ink(p.near, 1.0)));
    pen.rectangle((-0.004, 0.09), (0.004, 0.18), Paint::Flat(ink(p.near, 0.8)));
}
