//! Makes a film of a prompt and writes it to a file:
//! `cargo run --release --example film -- PROMPT FILE [SECONDS [WIDTH HEIGHT [FPS]]]`

use std::io::Write;

use video::{FilmSpec, SinkError, render};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(prompt), Some(path)) = (args.next(), args.next()) else {
        return Err("give a prompt and a file".into());
    };
    let mut spec = FilmSpec::new(prompt);
    for field in [&mut spec.seconds, &mut spec.width, &mut spec.height, &mut spec.fps] {
        if let Some(value) = args.next() {
            *field = value.parse()?;
        }
    }
    let mut file = std::fs::File::create(path)?;
    let info = render(&spec, &mut |p| eprint!("\r{} of {} frames", p.done, p.total), &mut |piece| {
        file.write_all(piece).map_err(|e| SinkError(e.to_string()))
    })?;
    eprintln!("\n{info:?}");
    Ok(())
}
