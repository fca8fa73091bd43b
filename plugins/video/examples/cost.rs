//! Tells what drawing and encoding cost, apart from each other:
//! `cargo run --release --example cost -- PROMPT [WIDTH HEIGHT]`

#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::time::Instant;

use video::encode::Encoder;
use video::scene::Picture;
use video::words::Scene;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let prompt = args.next().ok_or("give a prompt")?;
    let width: usize = args.next().map_or(Ok(480), |a| a.parse())?;
    let height: usize = args.next().map_or(Ok(270), |a| a.parse())?;
    let start = Instant::now();
    let mut picture = Picture::new(&Scene::from_prompt(&prompt), &prompt, width, height, 4);
    println!("prepare {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let frames = 48;
    let start = Instant::now();
    for frame in 0..frames {
        picture.draw(frame as f32 / 24.0);
    }
    println!("draw    {:.2} ms a frame", start.elapsed().as_secs_f64() * 1e3 / f64::from(frames));
    let mut encoder = Encoder::new(width as u32, height as u32, 24)?;
    let mut bytes = 0;
    let mut encoding = 0.0;
    for frame in 0..frames {
        let drawn = picture.draw(frame as f32 / 24.0);
        let start = Instant::now();
        encoder.push(drawn, &mut |packet| bytes += packet.data.len())?;
        encoding += start.elapsed().as_secs_f64();
    }
    println!("encode  {:.2} ms a frame, {bytes} bytes", encoding * 1e3 / f64::from(frames));
    Ok(())
}
