//! Who and what the picture is about.
//!
//! Owns where each subject is, how large, and which way it faces. The subjects'
//! shapes are in the modules below, each in coordinates of its own: the origin
//! is where it touches the ground (or its middle, when it floats), its height
//! is about 1, and y points down.

mod building;
mod craft;
mod creature;
mod nature;
mod person;
mod rail;

use super::Layer;
use super::canvas::{Canvas, Point};
use super::math::wave;
use super::pen::Pen;
use super::stage::Stage;
use crate::words::{Place, Subject};

/// What a subject needs to know of the scene around it.
struct Cue<'a> {
    stage: &'a Stage,
    t: f32,
    /// A number from 0 to 1 that tells this subject from others.
    own: f32,
}

/// A subject in its place.
struct Actor {
    subject: Subject,
    slot: usize,
}

/// The subjects of the scene; the second one stands farther back.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    for (slot, subject) in stage.scene.subjects.iter().enumerate().rev() {
        layers.push(Box::new(Actor { subject: *subject, slot }));
    }
}

impl Layer for Actor {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let own = stage.rng(130 + self.slot as u64).unit();
        let cue = Cue { stage, t, own };
        match self.subject {
            Subject::Birds => creature::flock(canvas, &cue),
            Subject::Fish => creature::shoal(canvas, &cue),
            Subject::Train => rail::train(canvas, &cue),
            Subject::Ship if stage.scene.place == Place::Sea => self.afloat(canvas, &cue),
            Subject::Whale if stage.scene.place == Place::Sea => self.leaping(canvas, &cue),
            _ => self.alone(canvas, &cue),
        }
    }
}

impl Actor {
    /// The subject's height, in pixels.
    fn size(&self, stage: &Stage) -> f32 {
        let of_unit = match self.subject {
            Subject::Lighthouse => 0.56,
            Subject::Castle => 0.5,
            Subject::Windmill => 0.42,
            Subject::Tree => 0.54,
            Subject::Ship => 0.42,
            Subject::Balloon => 0.46,
            Subject::Rocket => 0.42,
            Subject::Whale => 0.52,
            Subject::Cat | Subject::Dog => 0.37,
            Subject::Robot => 0.38,
            Subject::Traveller => 0.29,
            Subject::House => 0.27,
            Subject::Campfire => 0.24,
            Subject::Birds | Subject::Fish | Subject::Train => 0.3,
        };
        stage.unit * of_unit * if self.slot == 0 { 1.0 } else { 0.74 }
    }

    /// Whether the subject faces left. It looks into the picture.
    fn mirrored(&self, stage: &Stage) -> bool {
        stage.spots[self.slot] > stage.width * 0.5
    }

    /// A subject that stands, or hangs in the air or the water.
    fn alone(&self, canvas: &mut Canvas, cue: &Cue<'_>) {
        let (stage, t, own) = (cue.stage, cue.t, cue.own);
        let size = self.size(stage);
        let u = stage.unit;
        let at = if stage.stands(self.slot) {
            stage.foot(self.slot)
        } else {
            let drift = stage.pan * u * 0.018 * (t - stage.seconds * 0.5);
            let bob = u * 0.012 * wave(t * 0.17 + own);
            let high = if self.slot == 0 { 0.4 } else { 0.26 };
            (stage.spots[self.slot] + drift, stage.height * high + bob)
        };
        let mirrored = self.mirrored(stage);
        let mut pen = Pen::new(canvas, at, size).facing(mirrored);
        let pen = &mut pen;
        if stage.stands(self.slot) && stage.palette.daylight < 0.4 {
            // Moonlit air behind it, so that its outline stays readable.
            pen.glow((0.0, -0.45), 0.95, stage.palette.glow, 0.3);
        }
        match self.subject {
            Subject::Lighthouse => building::lighthouse(pen, cue),
            Subject::Castle => building::castle(pen, cue),
            Subject::Windmill => building::windmill(pen, cue),
            Subject::House => building::house(pen, cue),
            Subject::Balloon => craft::balloon(pen, cue),
            Subject::Rocket => craft::rocket(pen, cue),
            Subject::Ship => craft::ship(pen, cue),
            Subject::Whale => creature::whale(pen, cue),
            Subject::Cat => creature::cat(pen, cue),
            Subject::Dog => creature::dog(pen, cue),
            Subject::Tree => nature::tree(pen, cue),
            Subject::Campfire => nature::campfire(pen, cue),
            Subject::Robot => person::robot(pen, cue),
            Subject::Traveller => person::traveller(pen, cue),
            Subject::Birds | Subject::Fish | Subject::Train => {}
        }
    }

    /// A ship on the water, with its reflection.
    fn afloat(&self, canvas: &mut Canvas, cue: &Cue<'_>) {
        let (stage, t) = (cue.stage, cue.t);
        let size = self.size(stage);
        let rough = stage.scene.wind.min(2.2);
        let line = stage.horizon + stage.unit * if self.slot == 0 { 0.15 } else { 0.05 };
        let way = stage.pan * stage.unit * 0.03 * (t - stage.seconds * 0.5);
        let heave = size * 0.02 * rough * wave(t * 0.21 + cue.own);
        let at = (stage.spots[self.slot] + way, line + heave);
        let roll = 0.008 * rough * wave(t * 0.17 + cue.own + 0.2) + 0.006 * stage.pan;
        above(canvas, line, |canvas| {
            let mut pen = Pen::new(canvas, at, size).facing(stage.pan < 0.0);
            craft::ship(&mut pen.moved((0.0, -0.04), 1.0, roll), cue);
        });
        craft::wake(canvas, cue, (at.0, line), size);
    }

    /// A whale that jumps out of the water and falls back.
    fn leaping(&self, canvas: &mut Canvas, cue: &Cue<'_>) {
        let (stage, t) = (cue.stage, cue.t);
        let size = self.size(stage);
        let line = stage.horizon + stage.unit * 0.16;
        // One leap takes a good three seconds, the pause included.
        let phase = super::math::fract(t / 3.4 + 0.08 + cue.own * 0.1);
        let air = (phase / 0.72).min(1.0);
        let forward = stage.pan;
        let x = stage.spots[self.slot] + forward * size * (air - 0.5) * 1.5;
        let rise = 4.0 * air * (1.0 - air);
        let at: Point = (x, line + size * 0.42 - rise * size * 0.72);
        let turn = (air - 0.5) * 0.3;
        above(canvas, line, |canvas| {
            let mut pen = Pen::new(canvas, at, size).facing(forward < 0.0);
            creature::whale(&mut pen.moved((0.0, 0.0), 1.0, turn), cue);
        });
        creature::splash(canvas, cue, (x, line), size, phase);
    }
}

/// Draws only what lies above row `line`: the water covers the rest.
fn above(canvas: &mut Canvas, line: f32, draw: impl FnOnce(&mut Canvas)) {
    let from = (line.max(0.0) as usize).min(canvas.height) * canvas.width;
    let below = canvas.pixels[from..].to_vec();
    draw(canvas);
    canvas.pixels[from..].copy_from_slice(&below);
}
