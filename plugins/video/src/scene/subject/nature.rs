//! A great tree, a campfire.

use super::Cue;
use crate::scene::canvas::Point;
use crate::scene::math::{Rng, cowave, fract, lerp, wave};
use crate::scene::palette::{mix, shade};
use crate::scene::pen::{Pen, downward, ink, sideward};
use crate::words::{Extra, Rgb, Weather};

/// A tree whose crown sways.
pub(super) fn tree(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let (p, scene) = (&cue.stage.palette, &cue.stage.scene);
    let bark = mix(p.lit([104.0, 78.0, 60.0]), p.near, 0.3);
    let leaf: Rgb = match scene.weather {
        Weather::Snow => [226.0, 234.0, 246.0],
        _ if scene.has(Extra::Petals) || scene.tint.1 > 0.2 => scene.tint.0,
        _ => [88.0, 146.0, 66.0],
    };
    let leaf = p.lit(leaf);
    let sway = |high: f32, own: f32| 0.018 * scene.wind * high * high * wave(cue.t * 0.17 + own * 0.25);
    let limb =
        |points: &[Point]| -> Vec<Point> { points.iter().map(|&(x, y)| (x + sway(-y, 0.0), y)).collect() };
    let trunk_ink = ink(bark, 1.0);
    pen.polygon(&[(-0.12, 0.02), (-0.055, -0.06), (0.06, -0.06), (0.13, 0.02)], trunk_ink);
    pen.line(&limb(&[(0.0, 0.0), (0.01, -0.2), (-0.01, -0.42), (0.0, -0.66)]), 0.13, 0.04, trunk_ink);
    for (points, width) in [
        ([(0.0, -0.28), (0.12, -0.42), (0.26, -0.55)], 0.05),
        ([(0.0, -0.34), (-0.14, -0.46), (-0.28, -0.54)], 0.05),
        ([(0.0, -0.46), (0.09, -0.6), (0.12, -0.76)], 0.04),
    ] {
        pen.line(&limb(&points), width, width * 0.35, trunk_ink);
    }
    // Clumps of leaves from the back, dark, to the front, light.
    let mut rng = Rng::new(scene.seed ^ 0x7ee);
    for ring in 0..3 {
        let tone = [mix(shade(leaf, 0.6), p.near, 0.3), shade(leaf, 0.86), mix(leaf, p.glow, 0.14)][ring];
        let middle = -0.7 - 0.03 * ring as f32;
        let (x, wide) = (sway(0.7, 0.0), [0.36, 0.32, 0.2][ring]);
        let low = ink(shade(tone, 0.72), 1.0);
        pen.oval((x, middle), wide, wide * 0.68, downward(middle - 0.2, ink(tone, 1.0), middle + 0.25, low));
        let count = [15, 15, 10][ring];
        for i in 0..count {
            let turns = i as f32 / count as f32 + rng.range(-0.02, 0.02);
            let reach = rng.range(0.72, 1.0) * [1.0, 0.86, 0.6][ring];
            let x = 0.36 * reach * cowave(turns) - [0.0, 0.015, 0.04][ring];
            let y = -0.68 + 0.25 * reach * wave(turns) - [0.0, 0.02, 0.05][ring];
            let r = rng.range(0.075, 0.125) * [1.1, 1.0, 0.8][ring];
            let x = x + sway(-y, turns + ring as f32 * 0.3);
            let low = mix(tone, shade(tone, 0.7), 0.8);
            pen.oval((x, y), r, r * 0.92, downward(y - r, ink(tone, 1.0), y + r, ink(low, 1.0)));
            for dot in 0..5 {
                let a = turns * 3.0 + dot as f32 * 0.21;
                let at = (x + r * 0.95 * cowave(a), y + r * 0.9 * wave(a));
                pen.disc(at, r * 0.26, ink(if dot % 2 == 0 { tone } else { low }, 1.0));
            }
        }
    }
}

/// A fire, sparks, and a tent that it lights.
pub(super) fn campfire(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let (p, t) = (&cue.stage.palette, cue.t);
    let unrest = 1.0 + 0.08 * wave(t * 1.7) + 0.06 * wave(t * 2.9 + 0.2);
    let fire: Rgb = [255.0, 150.0, 60.0];
    let cloth = mix(p.accent, p.near, 0.2);
    let mut tent = pen.moved((-0.95, 0.0), 1.0, 0.0);
    let lit = mix(cloth, fire, 0.4 * unrest.min(1.1));
    tent.shaded(
        &[(-0.62, 0.04), (-0.05, -0.82), (0.55, 0.04)],
        sideward(-0.6, ink(shade(cloth, 0.5), 1.0), 0.5, ink(lit, 1.0)),
    );
    tent.polygon(
        &[(0.02, 0.04), (-0.05, -0.82), (0.34, 0.04)],
        ink(mix(shade(cloth, 0.25), p.near, 0.5), 1.0),
    );
    tent.polygon(&[(-0.05, -0.82), (0.34, 0.04), (0.46, 0.04)], ink(mix(lit, fire, 0.2), 1.0));
    tent.line(&[(-0.05, -0.82), (-0.08, -0.9)], 0.02, 0.01, ink(p.near, 1.0));
    pen.glow((0.0, -0.25), 2.6, fire, 0.34 * unrest);
    pen.glow((0.0, -0.2), 0.95, [255.0, 190.0, 100.0], 0.5 * unrest);
    let stone = mix(p.lit([130.0, 124.0, 122.0]), p.near, 0.3);
    for i in 0..7 {
        let x = -0.36 + i as f32 * 0.12;
        pen.oval(
            (x, 0.02),
            0.075,
            0.05,
            downward(-0.03, ink(mix(stone, fire, 0.4), 1.0), 0.06, ink(shade(stone, 0.5), 1.0)),
        );
    }
    let wood = p.lit([116.0, 76.0, 50.0]);
    for (a, b) in
        [((-0.28, 0.0), (0.16, -0.17)), ((0.28, 0.0), (-0.16, -0.17)), ((-0.1, 0.01), (0.06, -0.22))]
    {
        pen.line(&[a, b], 0.08, 0.06, ink(mix(wood, fire, 0.2), 1.0));
    }
    for (layer, (half, tall, c)) in [
        (0.24, 0.72, [240.0, 84.0, 30.0]),
        (0.17, 0.54, [255.0, 158.0, 50.0]),
        (0.09, 0.34, [255.0, 236.0, 160.0]),
    ]
    .into_iter()
    .enumerate()
    {
        for tongue in 0..3 {
            let own = tongue as f32 * 0.37 + layer as f32 * 0.21;
            let x = (tongue as f32 - 1.0) * half * 0.5;
            let tip = tall
                * (0.72 + 0.28 * wave(t * (1.3 + own * 0.4) + own))
                * if tongue == 1 { 1.1 } else { 0.75 };
            let lick = 0.09 * wave(t * 0.9 + own * 1.7);
            let shape = [
                (x - half * 0.5, -0.05),
                (x - half * 0.4 + lick * 0.3, -tip * 0.45),
                (x + lick, -tip - 0.06),
                (x + half * 0.45 + lick * 0.2, -tip * 0.4),
                (x + half * 0.5, -0.05),
                (x, 0.0),
            ];
            pen.blob(&shape, downward(-tip, ink(c, 0.55), 0.0, ink(c, 0.95)));
        }
    }
    for spark in 0..24 {
        let age = fract(t * (0.28 + 0.01 * (spark % 7) as f32) + spark as f32 * 0.618);
        let x = 0.16 * wave(spark as f32 * 0.29) + 0.22 * age * wave(age * 0.8 + spark as f32 * 0.47);
        let y = lerp(-0.35, -2.1, age);
        pen.disc((x, y), 0.016 * (1.0 - age) + 0.004, ink([255.0, 200.0, 110.0], 1.0 - age));
    }
}
