//! Draws the pictures of a film, one after the other.
//!
//! Owns the order of layers, from the sky to the caption, and the buffers that
//! all pictures share. What never moves is drawn once; each picture then costs
//! a few milliseconds. Never reads a clock: a picture depends on the scene, the
//! size and the time that it is asked for.

mod canvas;
mod caption;
mod city;
mod deep;
mod extras;
mod font;
mod forest;
mod ground;
mod land;
pub(crate) mod math;
mod palette;
mod pen;
mod sky;
mod space;
mod stage;
mod strip;
mod subject;
mod water;
mod weather;
mod yuv;

pub use yuv::Yuv;

use crate::words::{Extra, Place, Scene, Weather};
use canvas::Canvas;
use stage::Stage;

/// One part of the picture. Layers are drawn from the back to the front.
trait Layer {
    /// Draws the part as it is at `t` seconds of the scene's own time.
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32);
}

/// A scene at one size, ready to be drawn at any time.
pub struct Picture {
    stage: Stage,
    backdrop: Vec<[f32; 4]>,
    layers: Vec<Box<dyn Layer>>,
    canvas: Canvas,
    out: Yuv,
}

impl Picture {
    /// Prepares `scene` for pictures of `width` × `height` pixels (even, 64 or
    /// more) over `seconds`, with `prompt` as the caption.
    pub fn new(scene: &Scene, prompt: &str, width: usize, height: usize, seconds: u32) -> Self {
        let caption = caption::Caption::new(prompt, width, height);
        let stage = Stage::new(scene, width, height, seconds, caption.top());
        let mut canvas = Canvas::new(width, height);
        sky::paint(&mut canvas, &stage);
        let backdrop = canvas.pixels.clone();
        let mut layers = Vec::new();
        sky::layers(&stage, &mut layers);
        extras::behind(&stage, &mut layers);
        place(&stage, &mut layers);
        subject::layers(&stage, &mut layers);
        weather::layers(&stage, &mut layers);
        extras::before(&stage, &mut layers);
        layers.push(Box::new(caption));
        Self { stage, backdrop, layers, canvas, out: Yuv::new(width, height) }
    }

    /// The picture at `seconds` from the film's beginning.
    pub fn draw(&mut self, seconds: f32) -> &Yuv {
        let t = seconds * self.stage.scene.tempo;
        self.canvas.pixels.copy_from_slice(&self.backdrop);
        for layer in &self.layers {
            layer.draw(&mut self.canvas, &self.stage, t);
        }
        self.out.take(&self.canvas);
        &self.out
    }
}

/// The layers of the place, with the ground that subjects stand on.
fn place(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    match stage.scene.place {
        Place::Sea => water::layers(stage, layers),
        Place::Mountains => land::mountains(stage, layers),
        Place::Meadow => land::meadow(stage, layers),
        Place::Desert => land::desert(stage, layers),
        Place::City => city::layers(stage, layers),
        Place::Forest => forest::layers(stage, layers),
        Place::Space => space::layers(stage, layers),
        Place::Deep => deep::layers(stage, layers),
    }
    if stage.scene.weather == Weather::Fog {
        weather::bank(stage, layers);
    }
    ground::layers(stage, layers);
}

/// Whether anything in the scene is bright enough to hide the stars.
fn is_bright(scene: &Scene) -> bool {
    use crate::words::Hour;
    !matches!(scene.hour, Hour::Night | Hour::Dusk) && !scene.has(Extra::Aurora)
}
