//! Each file of `scripts/torture-set`: cut into chunks it gives the frames of a serial decode, at their times, and the annotated
//! video has exactly these frames at these times. Where a file can't be honoured so, the answer is pinned here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use common::{Shown, annotate::annotate, chunked_decode, serial_decode, serial_decode_of};
use trackdrop_media::{Limits, Verification, VerifyOptions, index, verify};

const SEGMENT_SECONDS: f64 = 0.5;
/// The files with a stretch that has no key frame to cut at for longer than four times the target length, and those whose packets a chunk can't hold.
const RE_ENCODED: [&str; 22] = [
    "one-keyframe.mp4",
    "one-keyframe-hevc-10bit.mkv",
    "one-keyframe-444-odd.mkv",
    "gop-1-to-300.mp4",
    "gradual-refresh.ts",
    "variable-rate.mp4",
    "variable-rate.mkv",
    "clock-forward.ts",
    "mpeg4-packed-b.avi",
    "all-keys-h264-refresh.mp4",
    "first-keys-hevc.mp4",
    "snow.nut",
    "animation.mov",
    "animation-alpha.mov",
    "raw-bgr.avi",
    "raw-palette.avi",
    "raw-uyvy.mov",
    "bmp.avi",
    "png.mov",
    "utvideo.avi",
    "msvideo1.avi",
    "prores-4444.mov",
];

/// What becomes of a file.
enum Answer {
    /// Every frame once, whole.
    Exact,
    /// Every frame once, whole; the container states no times, or not all, so FFmpeg's own times are no reference.
    ExactByOrder,
    /// Every frame is accounted for, this many of them damaged or lost.
    Damaged(u64),
    /// Refused, with these words in the reason.
    Refused(&'static str),
}
use Answer::{Damaged, Exact, ExactByOrder, Refused};

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/torture-set");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn check(name: &str, answer: &Answer) {
    let dir = tempfile::tempdir().unwrap();
    script(&[dir.path().to_str().unwrap(), name]);
    let source = dir.path().join(name);
    let options = VerifyOptions { segment_seconds: SEGMENT_SECONDS, limits: Limits::default(), threads: 1 };
    let verdict = match (verify(&source, &options, dir.path()), answer) {
        (Err(error), Refused(reason)) => {
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!error.is_transient(), "{error}");
            return;
        }
        (outcome, _) => outcome.unwrap(),
    };
    assert_eq!(verdict.first_difference, None, "{verdict:#?}");
    assert_eq!(verdict.segments_reencoded > 0, RE_ENCODED.contains(&name), "{verdict:#?}");
    match answer {
        Exact => is_exact(&source, &verdict, true),
        ExactByOrder => is_exact(&source, &verdict, false),
        Damaged(damaged) => assert_eq!(verdict.ledger.frames_damaged, *damaged, "{verdict:#?}"),
        Refused(reason) => panic!("not refused as {reason:?}: {verdict:#?}"),
    }
    annotated_has_the_same_times(&source, dir.path(), &verdict);
}

/// The verdict of `verify`, checked once more by what the ffmpeg command decodes.
fn is_exact(source: &Path, verdict: &Verification, times_are_stated: bool) {
    assert_eq!(verdict.ledger.frames_damaged, 0, "{verdict:#?}");
    assert_eq!(verdict.times_are_stated, times_are_stated, "{verdict:#?}");
    let video = index(source, &Limits::default()).unwrap();
    let (frames, _) = chunked_decode(source, &video, SEGMENT_SECONDS);
    let taken = video.video_streams.as_ref().map_or(0, |streams| streams.taken);
    let mut expected = serial_decode_of(source, video.time_base, taken);
    // A player also shows what is in front of the first key frame, as rubbish.
    expected.drain(..verdict.left_out as usize);
    let expected = expected
        .into_iter()
        .zip(&frames)
        .map(|(frame, own)| Shown { ticks: if times_are_stated { frame.ticks } else { own.ticks }, ..frame });
    let expected: Vec<Shown> = expected.collect();
    assert_eq!(frames.len(), expected.len());
    if let Some(at) = frames.iter().zip(&expected).position(|(own, serial)| own != serial) {
        panic!("frame {at} is {:?}, serially {:?}", frames[at], expected[at]);
    }
}

fn annotated_has_the_same_times(source: &Path, dir: &Path, verdict: &Verification) {
    let out: PathBuf = dir.join("annotated.mp4");
    let (video, report, given) = annotate(source, &out, SEGMENT_SECONDS);
    let missing = video.frame_pts.len() - given.len();
    assert!(missing as u64 <= verdict.ledger.frames_damaged, "{missing} frames are gone: {verdict:#?}");
    assert_eq!(report.video_frames, given.len() as u64);
    let expected: Vec<i64> = given.iter().map(|pts| pts - video.origin_pts).collect();
    let shown: Vec<i64> = serial_decode(&out, video.time_base).into_iter().map(|frame| frame.ticks).collect();
    assert_eq!(shown, expected);
}

macro_rules! torture {
    ($($test:ident $file:literal $answer:expr;)+) => {
        $(#[test] fn $test() { check($file, &$answer); })+

        #[test]
        fn every_file_of_the_set_is_tested() {
            let tested = [$($file),+];
            assert_eq!(script(&["--list"]).lines().collect::<Vec<_>>(), tested);
        }
    };
}

torture! {
    h264_closed_gop_mp4 "h264-closed-gop.mp4" Exact;
    h264_closed_gop_mkv "h264-closed-gop.mkv" Exact;
    h264_closed_gop_mov "h264-closed-gop.mov" Exact;
    h264_open_gop_mp4 "h264-open-gop.mp4" Exact;
    h264_open_gop_mkv "h264-open-gop.mkv" Exact;
    h264_open_gop_ts "h264-open-gop.ts" Exact;
    hevc_open_gop_mp4 "hevc-open-gop.mp4" Exact;
    hevc_open_gop_mkv "hevc-open-gop.mkv" Exact;
    hevc_open_gop_ts "hevc-open-gop.ts" Exact;
    hevc_closed_gop_mp4 "hevc-closed-gop.mp4" Exact;
    hevc_starts_with_cra_mkv "hevc-starts-with-cra.mkv" ExactByOrder;
    one_keyframe_mp4 "one-keyframe.mp4" Exact;
    one_keyframe_hevc_10bit_mkv "one-keyframe-hevc-10bit.mkv" Exact;
    one_keyframe_444_odd_mkv "one-keyframe-444-odd.mkv" Exact;
    all_intra_mp4 "all-intra.mp4" Exact;
    gop_1_to_300_mp4 "gop-1-to-300.mp4" Exact;
    gradual_refresh_ts "gradual-refresh.ts" Exact;
    fps_24000_1001_mp4 "fps-24000-1001.mp4" Exact;
    fps_30000_1001_mp4 "fps-30000-1001.mp4" Exact;
    fps_60000_1001_mp4 "fps-60000-1001.mp4" Exact;
    fps_25_2_mp4 "fps-25-2.mp4" Exact;
    variable_rate_mp4 "variable-rate.mp4" Exact;
    variable_rate_mkv "variable-rate.mkv" Exact;
    edit_list_mp4 "edit-list.mp4" Exact;
    edit_list_end_mp4 "edit-list-end.mp4" Exact;
    late_start_mp4 "late-start.mp4" Exact;
    negative_cts_mp4 "negative-cts.mp4" Exact;
    nonzero_start_ts "nonzero-start.ts" Exact;
    nonzero_start_mkv "nonzero-start.mkv" Exact;
    pts_wrap_ts "pts-wrap.ts" Exact;
    clock_forward_ts "clock-forward.ts" Exact;
    clock_repeats_ts "clock-repeats.ts" ExactByOrder;
    clock_back_ts "clock-back.ts" Refused("this can be a jump back by 103 s");
    missing_pts_ts "missing-pts.ts" ExactByOrder;
    reordered_avi "reordered.avi" ExactByOrder;
    equal_times_h264_mp4 "equal-times-h264.mp4" ExactByOrder;
    equal_times_h264_mov "equal-times-h264.mov" ExactByOrder;
    equal_times_h264_mxf "equal-times-h264.mxf" ExactByOrder;
    equal_times_hevc_mp4 "equal-times-hevc.mp4" ExactByOrder;
    equal_times_mpeg4_mp4 "equal-times-mpeg4.mp4" ExactByOrder;
    equal_times_mpeg4_mkv "equal-times-mpeg4.mkv" ExactByOrder;
    equal_times_mpeg2_mkv "equal-times-mpeg2.mkv" ExactByOrder;
    equal_times_mkv "equal-times.mkv" ExactByOrder;
    equal_times_ts "equal-times.ts" ExactByOrder;
    equal_times_mpeg2_vob "equal-times-mpeg2.vob" ExactByOrder;
    equal_times_mpeg2_mpg "equal-times-mpeg2.mpg" ExactByOrder;
    no_offsets_mp4 "no-offsets.mp4" ExactByOrder;
    late_b_frames_mp4 "late-b-frames.mp4" ExactByOrder;
    edits_on_mp4 "edits-on.mp4" Exact;
    edits_on_b_mp4 "edits-on-b.mp4" Exact;
    edits_gap_mp4 "edits-gap.mp4" Refused("leaves out");
    edits_twice_mp4 "edits-twice.mp4" Refused("more than once");
    hours_late_mp4 "hours-late.mp4" Exact;
    hours_late_mkv "hours-late.mkv" Exact;
    hours_late_flv "hours-late.flv" Exact;
    fps_2000_mkv "fps-2000.mkv" ExactByOrder;
    null_frames_avi "null-frames.avi" Exact;
    spliced_ts "spliced.ts" Refused("jumps back");
    restarted_flv "restarted.flv" Refused("jumps back");
    fields_ts "fields.ts" Exact;
    fields_mp4 "fields.mp4" Exact;
    fields_mkv "fields.mkv" Exact;
    fields_avi "fields.avi" ExactByOrder;
    fields_mxf "fields.mxf" Exact;
    fields_joined_mp4 "fields-joined.mp4" Exact;
    fields_b_ts "fields-b.ts" Exact;
    fields_b_mp4 "fields-b.mp4" Exact;
    fields_b_mkv "fields-b.mkv" Exact;
    fields_equal_times_mp4 "fields-equal-times.mp4" ExactByOrder;
    fields_mixed_ts "fields-mixed.ts" Exact;
    fields_mixed_mp4 "fields-mixed.mp4" Exact;
    fields_lost_ts "fields-lost.ts" Damaged(1);
    fields_mpeg2_ts "fields-mpeg2.ts" Exact;
    fields_mpeg2_mkv "fields-mpeg2.mkv" Exact;
    fields_hevc_mp4 "fields-hevc.mp4" Exact;
    fragmented_mp4 "fragmented.mp4" Exact;
    faststart_mp4 "faststart.mp4" Exact;
    prores_mov "prores.mov" Exact;
    vp8_webm "vp8.webm" Exact;
    vp9_webm "vp9.webm" Exact;
    vp9_mp4 "vp9.mp4" Exact;
    av1_mp4 "av1.mp4" Exact;
    av1_webm "av1.webm" Exact;
    av1_mkv "av1.mkv" Exact;
    msmpeg4_avi "msmpeg4.avi" Exact;
    mjpeg_avi "mjpeg.avi" Exact;
    mpeg4_b_avi "mpeg4-b.avi" ExactByOrder;
    mpeg4_packed_b_avi "mpeg4-packed-b.avi" ExactByOrder;
    mpeg2_interlaced_ts "mpeg2-interlaced.ts" Exact;
    mpeg2_interlaced_mpg "mpeg2-interlaced.mpg" ExactByOrder;
    h264_interlaced_ts "h264-interlaced.ts" Exact;
    all_keys_h264_mp4 "all-keys-h264.mp4" Exact;
    all_keys_h264_refresh_mp4 "all-keys-h264-refresh.mp4" Exact;
    all_keys_h264_flv "all-keys-h264.flv" Exact;
    all_keys_hevc_mp4 "all-keys-hevc.mp4" Exact;
    all_keys_hevc_mkv "all-keys-hevc.mkv" Exact;
    all_keys_av1_mp4 "all-keys-av1.mp4" Exact;
    all_keys_vp8_webm "all-keys-vp8.webm" Exact;
    all_keys_vp9_webm "all-keys-vp9.webm" Exact;
    all_keys_mpeg2_mov "all-keys-mpeg2.mov" Exact;
    all_keys_mpeg4_mp4 "all-keys-mpeg4.mp4" Exact;
    all_keys_wmv2_avi "all-keys-wmv2.avi" Exact;
    all_keys_svq1_mov "all-keys-svq1.mov" Exact;
    all_keys_ffv1_mkv "all-keys-ffv1.mkv" Exact;
    none_keys_h264_mp4 "none-keys-h264.mp4" Exact;
    none_keys_vp9_webm "none-keys-vp9.webm" Exact;
    none_keys_mpeg4_avi "none-keys-mpeg4.avi" Exact;
    first_keys_hevc_mp4 "first-keys-hevc.mp4" Exact;
    theora_ogv "theora.ogv" Exact;
    sorenson_flv "sorenson.flv" Exact;
    h263_3gp "h263.3gp" Exact;
    snow_nut "snow.nut" Exact;
    repeated_header_flv "repeated-header.flv" Exact;
    new_header_flv "new-header.flv" Exact;
    equal_descriptions_mov "equal-descriptions.mov" Exact;
    two_descriptions_mp4 "two-descriptions.mp4" Exact;
    first_sets_only_mp4 "first-sets-only.mp4" Exact;
    first_sets_only_hevc_mp4 "first-sets-only-hevc.mp4" Exact;
    first_sets_only_ts "first-sets-only.ts" Exact;
    unknown_codec_mp4 "unknown-codec.mp4" Refused("of the codec zzz1, for which the FFmpeg in use has no decoder");
    animation_mov "animation.mov" Exact;
    animation_alpha_mov "animation-alpha.mov" Exact;
    raw_bgr_avi "raw-bgr.avi" Exact;
    raw_palette_avi "raw-palette.avi" Exact;
    raw_uyvy_mov "raw-uyvy.mov" Exact;
    v210_mov "v210.mov" Exact;
    bmp_avi "bmp.avi" Exact;
    png_mov "png.mov" Exact;
    utvideo_avi "utvideo.avi" Exact;
    huffyuv_avi "huffyuv.avi" Exact;
    dv_avi "dv.avi" Exact;
    msvideo1_avi "msvideo1.avi" Exact;
    prores_4444_mov "prores-4444.mov" Exact;
    size_10_bit_mp4 "10-bit.mp4" Exact;
    size_10_bit_hevc_mkv "10-bit-hevc.mkv" Exact;
    size_4_2_2_mp4 "4-2-2.mp4" Exact;
    size_4_4_4_mp4 "4-4-4.mp4" Exact;
    odd_size_mp4 "odd-size.mp4" Exact;
    size_16x16_mp4 "16x16.mp4" Exact;
    anamorphic_mp4 "anamorphic.mp4" Exact;
    rotated_90_mp4 "rotated-90.mp4" Exact;
    rotated_180_mp4 "rotated-180.mp4" Exact;
    rotated_270_mp4 "rotated-270.mp4" Exact;
    full_range_mp4 "full-range.mp4" Exact;
    limited_range_mp4 "limited-range.mp4" Exact;
    resolution_change_ts "resolution-change.ts" Exact;
    resolution_change_webm "resolution-change.webm" Exact;
    one_sound_mp4 "one-sound.mp4" Exact;
    three_sounds_mkv "three-sounds.mkv" Exact;
    long_sound_mp4 "long-sound.mp4" Exact;
    short_sound_mp4 "short-sound.mp4" Exact;
    late_sound_mp4 "late-sound.mp4" Exact;
    late_sound_mkv "late-sound.mkv" Exact;
    cover_mp4 "cover.mp4" Exact;
    two_videos_mkv "two-videos.mkv" Exact;
    subtitles_and_data_mov "subtitles-and-data.mov" Exact;
    two_programmes_ts "two-programmes.ts" Exact;
    front_and_rear_mp4 "front-and-rear.mp4" Exact;
    thumbnail_first_mp4 "thumbnail-first.mp4" Exact;
    sound_flac_mkv "sound-flac.mkv" Exact;
    sound_truehd_mkv "sound-truehd.mkv" Exact;
    sound_192k_mkv "sound-192k.mkv" Exact;
    sound_16_channels_mkv "sound-16-channels.mkv" Exact;
    bare_h264 "bare.h264" ExactByOrder;
    bare_264 "bare.264" ExactByOrder;
    bare_30000_1001_h264 "bare-30000-1001.h264" ExactByOrder;
    bare_from_the_middle_h264 "bare-from-the-middle.h264" Damaged(0);
    bare_hevc "bare.hevc" ExactByOrder;
    bare_h265 "bare.h265" ExactByOrder;
    bare_without_rate_hevc "bare-without-rate.hevc" ExactByOrder;
    bare_m2v "bare.m2v" ExactByOrder;
    bare_m4v "bare.m4v" ExactByOrder;
    bare_mjpeg "bare.mjpeg" ExactByOrder;
    bare_obu "bare.obu" ExactByOrder;
    vp8_ivf "vp8.ivf" Exact;
    recorder_dav "recorder.dav" Exact;
    recorder_dv "recorder.dv" Exact;
    pid_change_ts "pid-change.ts" Refused("the video of PID 0x100 continues in PID 0x200. Cut the file there");
    pid_swap_ts "pid-swap.ts" Refused("the video of PID 0x100 is another one");
    codec_change_ts "codec-change.ts" Refused("the video of PID 0x100 is another one");
    codec_change_flv "codec-change.flv" Refused("continues with another video stream (h264)");
    encrypted_mp4 "encrypted.mp4" Refused("is encrypted");
    encrypted_webm "encrypted.webm" Refused("is encrypted");
    scrambled_ts "scrambled.ts" Refused("is encrypted");
    one_frame_mp4 "one-frame.mp4" Exact;
    two_frames_mp4 "two-frames.mp4" Exact;
    truncated_tail_mp4 "truncated-tail.mp4" Damaged(1);
    truncated_tail_mkv "truncated-tail.mkv" Exact;
    truncated_tail_ts "truncated-tail.ts" Damaged(1);
    truncated_tail_avi "truncated-tail.avi" Damaged(1);
    no_index_mp4 "no-index.mp4" Refused("is not a video");
    corrupted_middle_mp4 "corrupted-middle.mp4" Damaged(2);
    corrupted_middle_mkv "corrupted-middle.mkv" Damaged(1);
    corrupted_middle_ts "corrupted-middle.ts" Exact;
    trailing_garbage_mp4 "trailing-garbage.mp4" Exact;
    trailing_garbage_mkv "trailing-garbage.mkv" Exact;
    trailing_garbage_ts "trailing-garbage.ts" Exact;
    trailing_garbage_avi "trailing-garbage.avi" ExactByOrder;
    playlist_hls_mp4 "playlist-hls.mp4" Refused("is not a video");
    playlist_concat_mp4 "playlist-concat.mp4" Refused("is not a video");
}
