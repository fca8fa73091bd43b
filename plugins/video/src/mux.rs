//! AV1 packets to an MP4 file whose index stands before its data, so that a
//! player can begin before the file has arrived.
//!
//! Owns the layout of the file (ISO/IEC 14496-12 and the AV1 binding to it).
//! Never encodes and never keeps a second copy of the packets: the file leaves
//! in pieces.

use crate::encode::Packet;

/// The most bytes of one piece of the file.
pub const MAX_PIECE_BYTES: usize = 64 * 1024;

/// Ticks of the film's time scale for each frame. The scale is `fps` times
/// this, so every frame lasts a whole number of ticks.
const TICKS_PER_FRAME: u32 = 512;

/// The OBU type of a sequence header.
const OBU_SEQUENCE_HEADER: u8 = 1;
/// The OBU type of a temporal delimiter, which MP4 leaves out.
const OBU_TEMPORAL_DELIMITER: u8 = 2;

/// Why packets do not make a file.
#[derive(Debug, thiserror::Error)]
pub enum MuxError {
    /// There is no packet, or the first holds no sequence header.
    #[error("the first packet holds no AV1 sequence header")]
    NoSequenceHeader,
    /// A packet is not a row of OBUs with sizes.
    #[error("a packet is cut off in the middle of an OBU")]
    CutOff,
    /// The file would pass 4 GiB.
    #[error("the film passes 4 GiB")]
    TooLarge,
}

/// What the index says about the film.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Frames a second.
    pub fps: u32,
}

/// Writes the file to `sink` in pieces of at most [`MAX_PIECE_BYTES`], in
/// order, and gives back its size in bytes.
///
/// The outer error is the sink's; the inner one is ours.
pub fn write<E>(
    track: Track,
    mut packets: Vec<Packet>,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<Result<u64, MuxError>, E> {
    let head = match head(track, &mut packets) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error)),
    };
    let mut bytes = 0;
    let mut piece = Vec::with_capacity(MAX_PIECE_BYTES);
    for mut part in std::iter::once(&head[..]).chain(packets.iter().map(|p| &p.data[..])) {
        bytes += part.len() as u64;
        while !part.is_empty() {
            let room = (MAX_PIECE_BYTES - piece.len()).min(part.len());
            piece.extend_from_slice(&part[..room]);
            part = &part[room..];
            if piece.len() == MAX_PIECE_BYTES {
                sink(&piece)?;
                piece.clear();
            }
        }
    }
    if !piece.is_empty() {
        sink(&piece)?;
    }
    Ok(Ok(bytes))
}

/// Everything before the packets: `ftyp`, `moov` and the header of `mdat`.
/// Takes the temporal delimiters out of the packets.
fn head(track: Track, packets: &mut [Packet]) -> Result<Vec<u8>, MuxError> {
    let mut sequence_header = None;
    for packet in packets.iter_mut() {
        let mut kept = Vec::with_capacity(packet.data.len());
        for obu in Obus(&packet.data) {
            let (kind, bytes) = obu?;
            if kind == OBU_SEQUENCE_HEADER && sequence_header.is_none() {
                sequence_header = Some(bytes.to_vec());
            }
            if kind != OBU_TEMPORAL_DELIMITER {
                kept.extend_from_slice(bytes);
            }
        }
        packet.data = kept;
    }
    let sequence_header = sequence_header.ok_or(MuxError::NoSequenceHeader)?;
    let data_bytes: u64 = packets.iter().map(|p| p.data.len() as u64).sum();

    let mut out = Vec::new();
    boxed(&mut out, b"ftyp", |b| b.extend_from_slice(b"iso6\0\0\0\x01iso6mp41av01"));
    // The place of the data depends on the size of the index, which does not
    // depend on the place: written once to measure, once for good.
    let mut index = Vec::new();
    moov(&mut index, track, packets, &sequence_header, 0);
    let data_at = out.len() as u64 + index.len() as u64 + 8;
    if data_at + data_bytes > u64::from(u32::MAX) {
        return Err(MuxError::TooLarge);
    }
    moov(&mut out, track, packets, &sequence_header, data_at as u32);
    put32(&mut out, data_bytes as u32 + 8);
    out.extend_from_slice(b"mdat");
    Ok(out)
}

fn moov(out: &mut Vec<u8>, track: Track, packets: &[Packet], sequence_header: &[u8], data_at: u32) {
    let frames = packets.len() as u32;
    let scale = track.fps * TICKS_PER_FRAME;
    let ticks = frames * TICKS_PER_FRAME;
    boxed(out, b"moov", |b| {
        full(b, b"mvhd", 0, 0, |b| {
            words(b, &[0, 0, scale, ticks, 0x0001_0000]);
            b.extend_from_slice(&[1, 0]);
            b.extend_from_slice(&[0; 10]);
            matrix(b);
            b.extend_from_slice(&[0; 24]);
            put32(b, 2);
        });
        boxed(b, b"trak", |b| {
            // Flags: the track is enabled and part of the presentation.
            full(b, b"tkhd", 0, 3, |b| {
                words(b, &[0, 0, 1, 0, ticks, 0, 0, 0, 0]);
                matrix(b);
                words(b, &[u32::from(track.width) << 16, u32::from(track.height) << 16]);
            });
            boxed(b, b"mdia", |b| {
                full(b, b"mdhd", 0, 0, |b| {
                    words(b, &[0, 0, scale, ticks]);
                    // The language "und", three letters of five bits.
                    b.extend_from_slice(&[0x55, 0xc4, 0, 0]);
                });
                full(b, b"hdlr", 0, 0, |b| {
                    b.extend_from_slice(b"\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0video\0");
                });
                boxed(b, b"minf", |b| {
                    full(b, b"vmhd", 0, 1, |b| b.extend_from_slice(&[0; 8]));
                    boxed(b, b"dinf", |b| {
                        full(b, b"dref", 0, 0, |b| {
                            put32(b, 1);
                            // Flag: the data is in this file.
                            full(b, b"url ", 0, 1, |_| {});
                        });
                    });
                    boxed(b, b"stbl", |b| samples(b, track, packets, sequence_header, data_at));
                });
            });
        });
    });
}

/// The tables that say where each frame is and how long it lasts.
fn samples(b: &mut Vec<u8>, track: Track, packets: &[Packet], header: &[u8], data_at: u32) {
    let frames = packets.len() as u32;
    full(b, b"stsd", 0, 0, |b| {
        put32(b, 1);
        boxed(b, b"av01", |b| sample_entry(b, track, header));
    });
    full(b, b"stts", 0, 0, |b| words(b, &[1, frames, TICKS_PER_FRAME]));
    full(b, b"stss", 0, 0, |b| {
        let keys: Vec<u32> = (1..).zip(packets).filter(|(_, p)| p.is_keyframe).map(|(n, _)| n).collect();
        put32(b, keys.len() as u32);
        words(b, &keys);
    });
    // All frames stand in one chunk.
    full(b, b"stsc", 0, 0, |b| words(b, &[1, 1, frames, 1]));
    full(b, b"stsz", 0, 0, |b| {
        words(b, &[0, frames]);
        packets.iter().for_each(|p| put32(b, p.data.len() as u32));
    });
    full(b, b"stco", 0, 0, |b| words(b, &[1, data_at]));
}

fn sample_entry(b: &mut Vec<u8>, track: Track, header: &[u8]) {
    b.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    b.extend_from_slice(&[0; 16]);
    b.extend_from_slice(&track.width.to_be_bytes());
    b.extend_from_slice(&track.height.to_be_bytes());
    // 72 dots an inch, and one frame in each sample.
    words(b, &[0x0048_0000, 0x0048_0000, 0]);
    b.extend_from_slice(&[0, 1]);
    b.extend_from_slice(&[0; 32]);
    b.extend_from_slice(&[0, 24, 0xff, 0xff]);
    boxed(b, b"av1C", |b| {
        // Marker and version; Main profile; level and tier of the header;
        // 8 bit, 4:2:0, samples left of centre.
        b.extend_from_slice(&[0x81, level(header), 0b0000_1101, 0]);
        b.extend_from_slice(header);
    });
    boxed(b, b"colr", |b| {
        // BT.709 in primaries, transfer and matrix; limited range.
        b.extend_from_slice(b"nclx\0\x01\0\x01\0\x01\0");
    });
    boxed(b, b"pasp", |b| words(b, &[1, 1]));
}

/// Profile and level as `av1C` wants them: three bits, then five.
///
/// Reads what our encoder writes: no reduced header, no timing information, no
/// display delay, one operating point. The level then begins 24 bits into the
/// header's payload.
fn level(sequence_header: &[u8]) -> u8 {
    let payload = match Obus::payload_at(sequence_header) {
        Some(at) => &sequence_header[at..],
        None => return 0,
    };
    let bits = payload.iter().take(4).fold(0u32, |bits, b| bits << 8 | u32::from(*b));
    let profile = bits >> 29;
    // profile(3) still(1) reduced(1) timing(1) delay(1) points(5) idc(12) level(5)
    let level = (bits >> 3) & 0x1f;
    (profile << 5 | level) as u8
}

/// Walks the OBUs of a packet: kind, and the whole OBU with its header.
struct Obus<'a>(&'a [u8]);

impl Obus<'_> {
    /// Where the payload of the OBU at the front begins.
    fn payload_at(obu: &[u8]) -> Option<usize> {
        let extension = usize::from(obu.first()? & 4 != 0);
        let (_, length_bytes) = leb128(obu.get(1 + extension..)?)?;
        Some(1 + extension + length_bytes)
    }

    fn length(obu: &[u8]) -> Option<usize> {
        let header = *obu.first()?;
        let extension = usize::from(header & 4 != 0);
        if header & 2 == 0 {
            return None;
        }
        let (payload, length_bytes) = leb128(obu.get(1 + extension..)?)?;
        Some(1 + extension + length_bytes + payload)
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<(u8, &'a [u8]), MuxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = (self.0.first()? >> 3) & 15;
        match Self::length(self.0).and_then(|n| self.0.split_at_checked(n)) {
            Some((obu, rest)) => {
                self.0 = rest;
                Some(Ok((kind, obu)))
            }
            None => {
                self.0 = &[];
                Some(Err(MuxError::CutOff))
            }
        }
    }
}

/// A number in AV1's variable length form, and how many bytes it took.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (i, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

fn boxed(out: &mut Vec<u8>, name: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put32(out, 0);
    out.extend_from_slice(name);
    body(out);
    let size = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

/// A box with a version and flags.
fn full(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, name, |b| {
        put32(b, u32::from(version) << 24 | flags);
        body(b);
    });
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn words(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| put32(out, *v));
}

/// The identity, as `mvhd` and `tkhd` write it.
fn matrix(out: &mut Vec<u8>) {
    words(out, &[0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obus_are_walked_and_a_cut_one_is_refused() {
        // A temporal delimiter, then a sequence header of two bytes.
        let packet = [0x12, 0, 0x0a, 2, 0xaa, 0xbb];
        let kinds: Vec<u8> = Obus(&packet).map(|o| o.expect("whole").0).collect();
        assert_eq!(kinds, [OBU_TEMPORAL_DELIMITER, OBU_SEQUENCE_HEADER]);
        assert!(Obus(&packet[..5]).any(|o| matches!(o, Err(MuxError::CutOff))));
    }

    #[test]
    fn packets_without_a_sequence_header_make_no_file() {
        let track = Track { width: 64, height: 64, fps: 24 };
        let packets = vec![Packet { data: vec![0x12, 0], is_keyframe: true }];
        let got = write::<()>(track, packets, &mut |_| Ok(())).expect("the sink takes all");
        assert!(matches!(got, Err(MuxError::NoSequenceHeader)));
    }
}
