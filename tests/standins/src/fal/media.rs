//! The films that jobs make: one small MP4 file, padded to any size with what players skip, in
//! ranges, and broken off where the script says so.
//!
//! `film.mp4` was made by our own plugin: in `plugins/video`,
//! `cargo run --release --example film -- "a paper boat on a stream" film.mp4 1 64 64 12`.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::{Response, StatusCode};

use crate::wire::{Body, closed, whole};

/// One second of 64×64.
const FILM: &[u8] = include_bytes!("film.mp4");
/// Bytes that leave at a time.
const PIECE: u64 = 64 << 10;
/// The head of a box that players skip, with a size of 64 bits.
const SKIP_HEAD: u64 = 16;

/// Bytes of a film that was to have so many.
pub(crate) fn size(wanted: u64) -> u64 {
    let film = FILM.len() as u64;
    if wanted < film + SKIP_HEAD { film } else { wanted }
}

/// A part of a film of this size.
fn piece(size: u64, part: Range<u64>) -> Bytes {
    let film = FILM.len() as u64;
    let mut head = [0; SKIP_HEAD as usize];
    head[..8].copy_from_slice(b"\0\0\0\x01free");
    head[8..].copy_from_slice(&(size - film).to_be_bytes());
    let byte = |at: u64| match at {
        at if at < film => FILM[at as usize],
        at if at - film < SKIP_HEAD => head[(at - film) as usize],
        _ => 0,
    };
    if part.start >= film + SKIP_HEAD {
        return Bytes::from(vec![0; (part.end - part.start) as usize]);
    }
    part.map(byte).collect()
}

/// The film, or the range of it that is asked for, until the connection breaks after `cut` bytes.
pub(crate) fn answer(wanted: u64, range: &str, cut: Option<u64>) -> Response<Body> {
    let size = size(wanted);
    let answer = Response::builder().header("accept-ranges", "bytes").header("content-type", "video/mp4");
    let (status, part) = match (range, parse(range, size)) {
        ("", _) => (StatusCode::OK, 0..size),
        (_, Some(part)) => (StatusCode::PARTIAL_CONTENT, part),
        _ => {
            let answer = answer
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header("content-range", format!("bytes */{size}"));
            return answer.body(whole("")).expect("its parts are well formed");
        }
    };
    let mut answer = answer.status(status).header("content-length", part.end - part.start);
    if status == StatusCode::PARTIAL_CONTENT {
        answer = answer.header("content-range", format!("bytes {}-{}/{size}", part.start, part.end - 1));
    }
    let until = cut.map_or(part.end, |cut| part.end.min(part.start.saturating_add(cut)));
    let pieces = (part.start..until)
        .step_by(PIECE as usize)
        .map(move |at| Ok(Frame::data(piece(size, at..until.min(at + PIECE)))));
    let broken = (until < part.end).then(|| Err::<Frame<Bytes>, io::Error>(closed()));
    let body = StreamBody::new(stream::iter(pieces.chain(broken))).boxed_unsync();
    answer.body(body).expect("its parts are well formed")
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n`.
fn parse(range: &str, size: u64) -> Option<Range<u64>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let part = match (from, to) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (from, "") => from.parse().ok()?..size,
        (from, to) => from.parse().ok()?..to.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (part.start < part.end).then_some(part)
}

/// An answer that says how long it is and breaks off after so many bytes.
pub(crate) async fn cut(answer: Response<Body>, after: u64) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    // It is ours and whole.
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    head.headers.insert("content-length", bytes.len().into());
    let first = bytes.slice(..bytes.len().min(after as usize));
    let is_cut = first.len() < bytes.len();
    let broken = is_cut.then(|| Err::<Frame<Bytes>, io::Error>(closed()));
    let frames = [Ok(Frame::data(first))].into_iter().chain(broken);
    Response::from_parts(head, StreamBody::new(stream::iter(frames)).boxed_unsync())
}
