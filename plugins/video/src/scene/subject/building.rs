//! Lighthouse, castle, windmill, house.

use super::Cue;
use crate::scene::canvas::Paint;
use crate::scene::math::{cowave, fract, lerp, smooth, wave};
use crate::scene::palette::{mix, shade};
use crate::scene::pen::{Pen, ink, sideward};
use crate::words::{Hour, Rgb, Weather};

/// How much lamps shine: fully at night, hardly by day.
fn lamplight(cue: &Cue<'_>) -> f32 {
    match cue.stage.scene.hour {
        Hour::Day => 0.25,
        Hour::Dawn => 0.6,
        Hour::Dusk => 0.9,
        Hour::Night => 1.0,
    }
}

/// A colour for a wall that the sun lights from one side.
fn round_wall(cue: &Cue<'_>, colour: Rgb, half: f32) -> Paint {
    let p = &cue.stage.palette;
    let (lit, dark) = (mix(colour, p.glow, 0.16), mix(shade(colour, 0.5), p.near, 0.35));
    sideward(-half, ink(lit, 1.0), half * 1.1, ink(dark, 1.0))
}

/// A tower with bands of the accent's colour and a beam that turns.
pub(super) fn lighthouse(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let white = p.lit([240.0, 238.0, 230.0]);
    let lamp = (0.0, -0.86);
    let strength = lamplight(cue);
    beam(pen, cue, lamp, strength);
    let half = |y: f32| lerp(0.115, 0.07, -y / 0.76);
    for band in 0..6 {
        let (y0, y1) = (-0.76 * band as f32 / 6.0, -0.76 * (band + 1) as f32 / 6.0);
        let colour = if band % 2 == 0 { white } else { p.accent };
        let shape = [(-half(y0), y0), (half(y0), y0), (half(y1), y1), (-half(y1), y1)];
        pen.shaded(&shape, round_wall(cue, colour, half(y0)));
    }
    let dark = mix(p.near, p.lit([70.0, 72.0, 84.0]), 0.5);
    for y in [-0.16, -0.42] {
        pen.rectangle((-0.014, y - 0.045), (0.014, y), Paint::Flat(ink(p.lamp, 0.3 + 0.6 * strength)));
    }
    pen.rectangle((-0.032, -0.09), (0.032, 0.0), Paint::Flat(ink(dark, 1.0)));
    pen.rectangle((-0.105, -0.785), (0.105, -0.755), Paint::Flat(ink(dark, 1.0)));
    for x in [-0.1, -0.05, 0.0, 0.05, 0.1] {
        pen.rectangle((x - 0.004, -0.83), (x + 0.004, -0.78), Paint::Flat(ink(dark, 1.0)));
    }
    pen.rectangle((-0.105, -0.835), (0.105, -0.826), Paint::Flat(ink(dark, 1.0)));
    let glass = mix(shade(p.sky[1], 0.8), p.lamp, strength);
    pen.rectangle((-0.052, -0.92), (0.052, -0.785), Paint::Flat(ink(glass, 1.0)));
    for x in [-0.052, 0.0, 0.052] {
        pen.rectangle((x - 0.005, -0.92), (x + 0.005, -0.785), Paint::Flat(ink(dark, 1.0)));
    }
    let dome = [(-0.07, -0.92), (-0.05, -0.965), (0.0, -0.99), (0.05, -0.965), (0.07, -0.92)];
    pen.shaded(&dome, round_wall(cue, p.accent, 0.07));
    pen.rectangle((-0.006, -1.04), (0.006, -0.98), Paint::Flat(ink(dark, 1.0)));
    pen.glow(lamp, 0.3, p.lamp, 0.9 * strength);
}

/// Two beams that turn around the tower: wide when they pass the observer.
fn beam(pen: &mut Pen<'_>, cue: &Cue<'_>, lamp: (f32, f32), strength: f32) {
    let light = mix(cue.stage.palette.lamp, [255.0; 3], 0.4);
    let turn = cue.t * 0.16 + cue.own;
    for side in [0.0, 0.5] {
        let across = cowave(turn + side);
        let toward = wave(turn + side);
        let reach = 2.6 * across;
        let drop = 0.1 * toward;
        // A beam that points at the observer is short, broad and bright.
        let facing = 1.0 - across.abs();
        let opacity = strength * (0.3 + 0.16 * toward);
        for (spread, k) in [(0.36, 0.4), (0.2, 0.65)] {
            let spread = spread * (1.0 + 0.7 * facing);
            let end = (lamp.0 + reach, lamp.1 + drop);
            let shape = [
                (lamp.0, lamp.1 - 0.025),
                (end.0, end.1 - spread),
                (end.0, end.1 + spread),
                (lamp.0, lamp.1 + 0.025),
            ];
            let (near, far) = (ink(light, opacity * k), ink(light, 0.0));
            pen.shaded(&shape, Paint::Fade(lamp, near, end, far));
        }
        if toward > 0.0 {
            let flash = smooth(0.86, 1.0, toward);
            pen.glow(lamp, 0.7, light, flash * strength);
        }
    }
}

/// Towers with pointed roofs, a gate, windows, flags.
pub(super) fn castle(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let stone = mix(p.lit([176.0, 168.0, 164.0]), p.near, 0.12);
    let roof = p.accent;
    let strength = lamplight(cue);
    let wall = |half: f32| round_wall(cue, stone, half);
    // Tower: place, half width, height, roof height. Back to front.
    for (i, (x, half, tall, cap)) in
        [(0.0, 0.09, 0.78, 0.24), (-0.2, 0.07, 0.56, 0.2), (0.22, 0.075, 0.6, 0.21)].into_iter().enumerate()
    {
        let mut pen = pen.moved((x, 0.0), 1.0, 0.0);
        pen.rectangle((-half, -tall), (half, 0.02), wall(half));
        let eave = half * 1.25;
        let shape = [(-eave, -tall), (0.0, -tall - cap), (eave, -tall)];
        pen.shaded(&shape, round_wall(cue, roof, eave));
        flag(&mut pen, cue, (0.0, -tall - cap), i as f32 * 0.3);
        for y in [0.2, 0.42] {
            let top = -tall + y * tall;
            arch(&mut pen, (0.0, top), 0.016, 0.05, ink(p.lamp, 0.25 + 0.7 * strength));
        }
    }
    pen.rectangle((-0.34, -0.3), (0.36, 0.03), wall(0.4));
    for i in 0..9 {
        let x = -0.34 + i as f32 * 0.0825;
        pen.rectangle((x, -0.34), (x + 0.042, -0.29), wall(0.4));
    }
    for (x, half, tall) in [(-0.36, 0.066, 0.42), (0.38, 0.066, 0.4)] {
        let mut pen = pen.moved((x, 0.0), 1.0, 0.0);
        pen.rectangle((-half, -tall), (half, 0.04), wall(half));
        for i in 0..4 {
            let x = -half + i as f32 * half * 0.6;
            pen.rectangle((x, -tall - 0.035), (x + half * 0.3, -tall), wall(half));
        }
        arch(&mut pen, (0.0, -tall * 0.6), 0.015, 0.05, ink(p.lamp, 0.25 + 0.7 * strength));
    }
    arch(pen, (0.01, 0.03), 0.062, 0.17, ink(mix(p.near, stone, 0.15), 1.0));
    arch(pen, (0.01, 0.03), 0.046, 0.14, ink(mix(p.near, p.lamp, 0.5 * strength), 1.0));
    for x in [-0.2, 0.2] {
        arch(pen, (x, -0.12), 0.016, 0.055, ink(p.lamp, 0.3 + 0.6 * strength));
    }
    pen.glow((0.01, -0.05), 0.3, p.lamp, 0.3 * strength);
}

/// A window or gate with a round top, standing on `at`.
fn arch(pen: &mut Pen<'_>, at: (f32, f32), half: f32, tall: f32, ink: [f32; 4]) {
    let mut shape = vec![(at.0 + half, at.1), (at.0 - half, at.1)];
    shape.extend((0..=8).map(|i| {
        let turns = 0.5 + i as f32 / 16.0;
        (at.0 + half * cowave(turns), at.1 - tall + half * (1.0 + wave(turns)))
    }));
    pen.polygon(&shape, ink);
}

/// A pennant in the wind.
fn flag(pen: &mut Pen<'_>, cue: &Cue<'_>, foot: (f32, f32), own: f32) {
    let p = &cue.stage.palette;
    let mut pen = pen.moved(foot, 1.0, 0.0);
    pen.line(&[(0.0, 0.01), (0.0, -0.12)], 0.008, 0.006, ink(p.near, 1.0));
    let beat = cue.t * 0.7 * cue.stage.scene.wind.sqrt() + own;
    let edge = |low: f32| {
        move |i: usize| {
            let s = i as f32 / 6.0;
            let y = wave(beat - s * 0.8) * 0.016 * s;
            (0.12 * s, y + low + (if low < -0.1 { 0.022 } else { -0.022 }) * s)
        }
    };
    let mut shape: Vec<(f32, f32)> = (0..=6).map(edge(-0.12)).collect();
    shape.extend((0..=6).rev().map(edge(-0.065)));
    pen.polygon(&shape, ink(mix(p.accent, p.glow, 0.2), 1.0));
}

/// A mill with four turning sails.
pub(super) fn windmill(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let wall = p.lit([232.0, 222.0, 206.0]);
    let wood = mix(p.lit([120.0, 84.0, 58.0]), p.near, 0.2);
    let strength = lamplight(cue);
    let body = [(-0.19, 0.02), (-0.115, -0.72), (0.115, -0.72), (0.19, 0.02)];
    pen.shaded(&body, round_wall(cue, wall, 0.19));
    pen.rectangle((-0.165, -0.3), (0.165, -0.27), Paint::Flat(ink(wood, 1.0)));
    let cap = [(-0.14, -0.71), (-0.12, -0.8), (0.0, -0.88), (0.12, -0.8), (0.14, -0.71)];
    pen.shaded(&cap, round_wall(cue, p.accent, 0.14));
    arch(pen, (0.0, 0.02), 0.045, 0.15, ink(wood, 1.0));
    for (x, y) in [(-0.05, -0.42), (0.06, -0.18), (0.03, -0.56)] {
        arch(pen, (x, y), 0.024, 0.07, ink(mix(wood, p.lamp, strength), 1.0));
    }
    let hub = (0.0, -0.76);
    let turn = cue.t * 0.075 * (0.5 + cue.stage.scene.wind) + cue.own;
    let cloth = mix(wall, p.sky[2], 0.25);
    for sail in 0..4 {
        let mut sail = pen.moved(hub, 1.0, turn + sail as f32 * 0.25);
        sail.line(&[(0.0, 0.05), (0.0, -0.62)], 0.026, 0.014, ink(wood, 1.0));
        let sheet = [(0.014, -0.14), (0.125, -0.16), (0.115, -0.6), (0.014, -0.6)];
        sail.polygon(&sheet, ink(cloth, 0.94));
        for i in 0..=6 {
            let y = -0.15 - i as f32 * 0.075;
            sail.line(&[(0.0, y), (0.122, y)], 0.009, 0.009, ink(wood, 0.9));
        }
        sail.line(&[(0.066, -0.15), (0.063, -0.6)], 0.007, 0.007, ink(wood, 0.7));
    }
    pen.disc(hub, 0.03, ink(wood, 1.0));
}

/// A cabin with lit windows and smoke.
pub(super) fn house(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let winter = cue.stage.scene.weather == Weather::Snow;
    let strength = lamplight(cue);
    let wood = mix(p.lit([150.0, 104.0, 72.0]), p.near, 0.12);
    let dark = mix(shade(wood, 0.5), p.near, 0.3);
    smoke(pen, cue, (0.3, -0.96));
    pen.rectangle((0.24, -0.94), (0.36, -0.6), Paint::Flat(ink(dark, 1.0)));
    pen.rectangle((-0.55, -0.46), (0.55, 0.03), sideward(-0.55, ink(wood, 1.0), 0.6, ink(dark, 1.0)));
    for i in 1..6 {
        let y = -0.46 + i as f32 * 0.08;
        pen.rectangle((-0.55, y), (0.55, y + 0.012), Paint::Flat(ink(dark, 0.4)));
    }
    let roof = if winter { p.lit([238.0, 242.0, 250.0]) } else { p.accent };
    let slope = [(-0.7, -0.42), (-0.28, -0.86), (0.28, -0.86), (0.7, -0.42)];
    pen.shaded(&slope, sideward(-0.7, ink(mix(roof, p.glow, 0.15), 1.0), 0.8, ink(shade(roof, 0.6), 1.0)));
    pen.rectangle((-0.7, -0.43), (0.7, -0.39), Paint::Flat(ink(dark, 1.0)));
    let glow = mix(dark, p.lamp, 0.3 + 0.7 * strength);
    for x in [-0.36, 0.32] {
        pen.rectangle((x - 0.11, -0.33), (x + 0.11, -0.12), Paint::Flat(ink(dark, 1.0)));
        pen.rectangle((x - 0.09, -0.31), (x + 0.09, -0.14), Paint::Flat(ink(glow, 1.0)));
        pen.rectangle((x - 0.008, -0.31), (x + 0.008, -0.14), Paint::Flat(ink(dark, 1.0)));
        pen.rectangle((x - 0.09, -0.232), (x + 0.09, -0.218), Paint::Flat(ink(dark, 1.0)));
        pen.glow((x, -0.22), 0.45, p.lamp, 0.5 * strength);
    }
    pen.rectangle((-0.11, -0.3), (0.09, 0.03), Paint::Flat(ink(mix(dark, p.near, 0.4), 1.0)));
    pen.disc((0.055, -0.14), 0.014, ink(p.lamp, 0.9));
}

/// Smoke that rises from `at` and drifts with the wind.
pub(super) fn smoke(pen: &mut Pen<'_>, cue: &Cue<'_>, at: (f32, f32)) {
    let p = &cue.stage.palette;
    let c = mix(p.lit([224.0, 224.0, 230.0]), p.sky[2], 0.35);
    for puff in 0..14 {
        let age = fract(cue.t * 0.13 + puff as f32 / 14.0);
        let x = at.0 + age * age * 0.5 * cue.stage.scene.wind + 0.03 * wave(age * 1.3 + puff as f32 * 0.37);
        let y = at.1 - age * 0.85;
        let k = smooth(0.0, 0.1, age) * (1.0 - age) * 0.34;
        pen.disc((x, y), lerp(0.045, 0.17, age), ink(c, k));
    }
}
