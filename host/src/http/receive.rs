//! The body of a response: decoded, searched for secrets, and bounded at each step.
//!
//! Owns the bounds: bytes on the wire are the purse's, bytes of the body the request's. Holds no
//! more of a body in memory than what is asked for as bytes, and a piece.

use std::io::Write as _;

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sublane_core::{ImportError, LimitHit};

use super::{Failed, Missed};
use crate::artifacts::Staging;
use crate::error::chain;
use crate::secrets::Redactor;

/// Bytes that a decoder is given at once: what comes out is a thousand times as much at most.
const DECODED_AT_ONCE: usize = 1 << 10;

/// Where a body goes.
pub enum Sink {
    /// Into memory.
    Bytes(Vec<u8>),
    /// Into a file.
    File(Staging),
}

/// How many bytes may come.
pub(super) struct Bounds {
    /// Of the body, decoded.
    pub(super) body: u64,
    /// On the wire, and what the purse has when that is not enough.
    pub(super) wire: u64,
}

enum Decoder {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
}

impl Decoder {
    fn of(encoding: Option<&str>) -> Result<Self, Failed> {
        match encoding.map(str::trim).map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "identity") => Ok(Self::Plain),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            Some("deflate") => Ok(Self::Zlib(Box::new(ZlibDecoder::new(Vec::new())))),
            Some(_) => {
                Err(Failed::Broken("the answer is compressed in a way that nobody asked for".to_owned()))
            }
        }
    }

    fn decode(&mut self, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(piece.to_vec()),
            Self::Gzip(decoder) => decoder.write_all(piece).map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => decoder.write_all(piece).map(|()| std::mem::take(decoder.get_mut())),
        }
    }

    fn finish(&mut self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => decoder.try_finish().map(|()| std::mem::take(decoder.get_mut())),
        }
    }
}

/// Reads a body to its end. `wire` counts what came, also when it fails.
pub(super) async fn body(
    mut incoming: Incoming,
    encoding: Option<&str>,
    bounds: &Bounds,
    sink: &mut Sink,
    redactor: &Redactor,
    wire: &mut u64,
) -> Result<(), Missed> {
    let mut decoder = Decoder::of(encoding)?;
    let (mut redacted, mut size) = (redactor.stream(), 0);
    let broken = |what: String| Missed::from(Failed::Broken(what));
    let damaged = |error: std::io::Error| broken(format!("the answer is not compressed as it says: {error}"));
    let mut came = 0_u64;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        came += data.len() as u64;
        *wire += data.len() as u64;
        if *wire > bounds.wire {
            return Err(Missed::from(ImportError::Limit(LimitHit::new("purse.bytes-in", bounds.wire))));
        }
        for piece in data.chunks(DECODED_AT_ONCE) {
            let decoded = decoder.decode(piece).map_err(damaged)?;
            put(decoded, &mut size, bounds, sink, &mut redacted).await?;
        }
    }
    // A body that is not there, as after `HEAD`, is compressed in no way.
    if came > 0 {
        let rest = decoder.finish().map_err(damaged)?;
        put(rest, &mut size, bounds, sink, &mut redacted).await?;
    }
    write(redacted.finish(), sink).await
}

async fn put(
    decoded: Vec<u8>,
    size: &mut u64,
    bounds: &Bounds,
    sink: &mut Sink,
    redacted: &mut crate::secrets::Redacted,
) -> Result<(), Missed> {
    *size += decoded.len() as u64;
    if *size > bounds.body {
        return Err(Missed::from(Failed::TooLarge(bounds.body)));
    }
    write(redacted.push(decoded), sink).await
}

async fn write(bytes: Vec<u8>, sink: &mut Sink) -> Result<(), Missed> {
    match sink {
        Sink::Bytes(held) => held.extend_from_slice(&bytes),
        Sink::File(staging) => staging.write(&bytes).await?,
    }
    Ok(())
}
