//! Checks whether the file continues in another stream after the end of the video stream that is read, or after it
//! becomes unreadable.

use crate::{
    MediaError,
    demux::Demuxer,
    scanned_packet::ScannedPacket,
    streams::{codec_name, sound_of},
    ts_watch::Moved,
};

/// Refuses a video that continues in a stream which the demuxer does not follow, unless the caller chose this stream.
/// Also refuses a scrambled video. If the sound has one of these problems, it adds a warning.
pub(crate) fn check(
    demuxer: &Demuxer,
    packets: &[ScannedPacket],
    warnings: &mut Vec<String>,
) -> Result<(), MediaError> {
    let reason = match demuxer.input().format().name() {
        "mpegts" => in_transport_stream(demuxer, warnings)?,
        _ => in_later_stream(demuxer, packets),
    };
    match reason {
        Some(reason) if demuxer.source().reading().video_stream.is_none() => Err(MediaError::Unsupported { reason }),
        reason => {
            warnings.extend(reason);
            Ok(())
        }
    }
}

/// A video stream that begins after the last packet of the stream that is read.
fn in_later_stream(demuxer: &Demuxer, packets: &[ScannedPacket]) -> Option<String> {
    let last = packets.iter().map(|packet| packet.position).max()?;
    let (stream, place) = demuxer.other_videos().find(|&(_, place)| place > last)?;
    Some(format!(
        "the file continues with another video stream ({}) at byte {place}, behind the last picture of this one. Track each by --video-stream 0, \
         1 ... (the request setting video_stream), or join them first: `ffmpeg -i FILE -map 0:v:0 -c copy 1.mkv`, `-map 0:v:1` ..., then FFmpeg's concat \
         demuxer",
        codec_name(&stream.parameters())
    ))
}

fn in_transport_stream(demuxer: &Demuxer, warnings: &mut Vec<String>) -> Result<Option<String>, MediaError> {
    let video = demuxer.stream()?;
    let transport = demuxer.transport();
    if transport.is_scrambled(pid(&video)) {
        let how = "its packets are scrambled by conditional access".into();
        return Err(MediaError::Encrypted { path: demuxer.path().to_owned(), how });
    }
    if let Some(sound) = sound_of(demuxer.input(), video.index()) {
        let pid = pid(&sound);
        if transport.is_scrambled(pid) {
            warnings.push(format!("the sound of PID {pid:#x} is scrambled"));
        }
        if let Some(Moved { at_byte, .. }) = transport.moved(pid) {
            warnings.push(format!(
                "the sound of PID {pid:#x} ends at byte {at_byte}, where the streams change; what follows is left out"
            ));
        }
    }
    let Some(Moved { at_byte, to_pid }) = transport.moved(pid(&video)) else { return Ok(None) };
    let how = to_pid.map_or_else(|| "is another one".to_owned(), |to| format!("continues in PID {to:#x}"));
    Ok(Some(format!(
        "the streams of the file change at byte {at_byte}: from there on the video of PID {:#x} {how}. Cut the file there (`head -c {at_byte} FILE > \
         1.ts; tail -c +{} FILE > 2.ts`) and track the parts, or join them first by FFmpeg's concat demuxer",
        pid(&video),
        at_byte + 1
    )))
}

fn pid(stream: &ffmpeg_next::Stream<'_>) -> u16 {
    stream.id().try_into().unwrap_or(u16::MAX)
}
