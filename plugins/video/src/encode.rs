//! Pictures to AV1, with rav1e in its fastest setting.
//!
//! Owns the encoder and its settings: 4:2:0, 8 bit, BT.709, limited range, one
//! tile, no thread, no reordering, so packets leave in the order of frames.
//! Never knows what is in a picture or where packets go.

use rav1e::config::{GrainTableSegment, SpeedSettings};
use rav1e::prelude::{
    ChromaSamplePosition, ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig,
    EncoderStatus, FrameType, MatrixCoefficients, PixelRange, Rational, SceneDetectionSpeed,
    TransferCharacteristics, Tune,
};

use crate::scene::Yuv;

/// The quantizer of every frame, of 0 (best) to 255. At 110 edges and the
/// caption stay clean, and fine rain just so; a second of film at 480×270 takes
/// 15 to 50 KB. Fewer bits are also faster.
const QUANTIZER: usize = 110;

/// The seconds from one keyframe to the next, so that players can seek.
const KEYFRAME_SECONDS: u64 = 4;

/// One encoded frame.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The AV1 temporal unit.
    pub data: Vec<u8>,
    /// Whether a player can start here.
    pub is_keyframe: bool,
}

/// Why the encoder gave up.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The encoder refused its settings.
    #[error("the encoder refused its settings: {0}")]
    Config(String),
    /// The encoder stopped in the middle of the film.
    #[error("the encoder stopped: {0}")]
    Encoder(EncoderStatus),
}

/// An AV1 encoder that takes pictures and gives packets back.
pub struct Encoder {
    context: Context<u8>,
}

impl Encoder {
    /// An encoder for pictures of `width` × `height` pixels, both even and at
    /// least 16, at `fps` frames a second.
    pub fn new(width: u32, height: u32, fps: u32) -> Result<Self, EncodeError> {
        let config = EncoderConfig {
            width: width as usize,
            height: height as usize,
            time_base: Rational::new(1, u64::from(fps)),
            bit_depth: 8,
            chroma_sampling: ChromaSampling::Cs420,
            chroma_sample_position: ChromaSamplePosition::Vertical,
            pixel_range: PixelRange::Limited,
            color_description: Some(ColorDescription {
                color_primaries: ColorPrimaries::BT709,
                transfer_characteristics: TransferCharacteristics::BT709,
                matrix_coefficients: MatrixCoefficients::BT709,
            }),
            level_idx: Some(level(width, height, fps)),
            min_key_frame_interval: 0,
            max_key_frame_interval: KEYFRAME_SECONDS * u64::from(fps),
            low_latency: true,
            quantizer: QUANTIZER,
            film_grain_params: Some(vec![grain()]),
            tune: Tune::Psnr,
            tiles: 1,
            speed_settings: speed(),
            ..EncoderConfig::with_speed_preset(10)
        };
        let context = Config::new()
            .with_encoder_config(config)
            .with_threads(1)
            .new_context()
            .map_err(|e| EncodeError::Config(e.to_string()))?;
        Ok(Self { context })
    }

    /// Takes the next picture and gives the packets that are ready to `each`.
    pub fn push(&mut self, picture: &Yuv, each: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        let mut frame = self.context.new_frame();
        for (plane, samples) in frame.planes.iter_mut().zip([&picture.y, &picture.u, &picture.v]) {
            let stride = plane.cfg.width;
            plane.copy_from_raw_u8(samples, stride, 1);
        }
        self.context.send_frame(frame).map_err(EncodeError::Encoder)?;
        self.drain(each)
    }

    /// Ends the film and gives the remaining packets to `each`.
    pub fn finish(mut self, each: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        self.context.flush();
        self.drain(each)
    }

    fn drain(&mut self, each: &mut dyn FnMut(Packet)) -> Result<(), EncodeError> {
        loop {
            match self.context.receive_packet() {
                Ok(packet) => {
                    each(Packet { is_keyframe: packet.frame_type == FrameType::KEY, data: packet.data })
                }
                // Encoded a frame that is shown later, or is still at work.
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(()),
                Err(status) => return Err(EncodeError::Encoder(status)),
            }
        }
    }
}

/// The lowest level of AV1 (annex A.3) that allows such pictures at this rate;
/// players read from it whether they can keep up.
fn level(width: u32, height: u32, fps: u32) -> u8 {
    /// Level index, most pixels of a picture, longest side, most pixels a second.
    const LEVELS: [(u8, u64, u64, u64); 4] = [
        (0, 147_456, 1152, 4_423_680),
        (1, 278_784, 1584, 8_363_520),
        (4, 665_856, 2448, 19_975_680),
        (5, 1_065_024, 3168, 31_950_720),
    ];
    let (longest, pixels) = (u64::from(width.max(height)), u64::from(width) * u64::from(height));
    let fits = |l: &&(u8, u64, u64, u64)| pixels <= l.1 && longest <= l.2 && pixels * u64::from(fps) <= l.3;
    // Level 4.0 holds all that a specification may ask for.
    LEVELS.iter().find(fits).map_or(8, |l| l.0)
}

/// The fastest preset, less what these films do not need. Measured at 480×270,
/// this halves the time of a frame and adds about half to its size.
fn speed() -> SpeedSettings {
    let mut speed = SpeedSettings::from_preset(10);
    // Without reordering there is nothing to look ahead for; each frame of
    // look-ahead is a frame held in memory.
    speed.rdo_lookahead_frames = 1;
    // A film is one take: there is no cut to find.
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    // The filter against ringing costs more than it shows at this quantizer.
    speed.cdef = false;
    // An estimate of a block's bits instead of a trial encoding.
    speed.transform.tx_domain_rate = true;
    // Smaller transforms find nothing in pictures as smooth as these.
    speed.transform.enable_inter_tx_split = false;
    speed
}

/// A faint grain that the player adds while decoding: it costs no bits and
/// hides the steps that eight bits leave in a sky.
fn grain() -> GrainTableSegment {
    GrainTableSegment {
        start_time: 0,
        end_time: u64::MAX,
        scaling_points_y: [[0, 10], [96, 18], [255, 8]].into_iter().collect(),
        scaling_points_cb: Default::default(),
        scaling_points_cr: Default::default(),
        scaling_shift: 11,
        ar_coeff_lag: 0,
        ar_coeffs_y: Default::default(),
        ar_coeffs_cb: [0].into_iter().collect(),
        ar_coeffs_cr: [0].into_iter().collect(),
        ar_coeff_shift: 7,
        cb_mult: 0,
        cb_luma_mult: 0,
        cb_offset: 0,
        cr_mult: 0,
        cr_luma_mult: 0,
        cr_offset: 0,
        overlap_flag: true,
        chroma_scaling_from_luma: false,
        grain_scale_shift: 0,
        random_seed: 7391,
    }
}
