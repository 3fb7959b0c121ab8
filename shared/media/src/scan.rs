//! Finds all packets of a video stream in one pass, and the presentation time of each.

use ffmpeg::{
    Packet,
    codec::packet::{Ref, side_data},
    ffi, frame,
};
use ffmpeg_next as ffmpeg;

use crate::{
    Limits, MediaError, Rational,
    decoder::{Decoder, Step},
    demux::{Demuxer, Timeline, codec_name},
    entry_point::Bitstream,
    h264,
    keyframes::check_clock,
    notebook::{Notebook, Then},
    order,
    picture_head::PictureHeads,
    scanned_packet::{DecodedPicture, ScannedPacket},
    source::Opened,
};

/// What one pass found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub packets: Vec<ScannedPacket>,
    /// Whether the packets can be copied. They can't if a chunk can't store something that the container states beside
    /// them.
    pub can_be_copied: bool,
}

/// If the index of an MP4 has no key frame for more than this many seconds, there can be key frames that it does not
/// name.
const FAR_APART_S: f64 = 15.0;
/// The number of ticks into which one tick is divided if several pictures have it.
const FINENESS: i64 = 1000;
/// How many bytes of a key frame's packet are read, to find what precedes its picture.
const HEAD_BYTES: usize = 4096;

/// If an index marks more than one of this many packets as key frames, the marks are checked.
const PLAUSIBLE_DISTANCE: usize = 4;
/// If key frames are smaller than this on average, in bytes, to read the whole file costs less than to request each key
/// frame.
const CLOSE_BYTES: usize = 64 << 10;

/// Finds every packet of the stream, and reads no more of the source than necessary.
///
/// The index of an MP4 has everything except two facts: whether decoding can really start at a key frame, and whether
/// pictures that it shows in stored order are meant so. For these, the first bytes of the pictures are read. All other
/// containers are read whole. So are two kinds of MP4. In one the index names very few key frames, or more than there
/// can be: some writers name only some of them, and some name all packets. The other has H.264 that can be coded in
/// fields, so each picture must be examined.
pub(crate) fn scan(demuxer: &mut Demuxer, limits: &Limits) -> Result<Scan, MediaError> {
    let parameters = demuxer.parameters()?;
    let mut stream = Bitstream::of(&parameters);
    let may_hold_fields = codec_name(&parameters) == "h264" && h264::may_hold_fields(h264::extradata(&parameters));
    if !may_hold_fields && let Some(mut hollow) = demuxer.hollow(Timeline::Media, limits)? {
        let mut scan = read_all(&mut hollow, None, limits)?;
        if !stream.reads_data() {
            for (at, packet) in scan.packets.iter_mut().enumerate() {
                packet.new_extradata.take().map_or(Ok(()), |extradata| describe_anew(&mut stream, &extradata, at))?;
                packet.is_entry = stream.inspect_nothing().is_entry;
            }
            return Ok(scan);
        }
        if !are_doubtful(&scan.packets) {
            look_into_key_frames(&mut scan, demuxer, stream.clone())?;
            let begins = scan.packets.iter().find(|packet| packet.has_picture).is_none_or(|packet| packet.is_entry);
            if begins && !are_far_apart(&scan.packets, demuxer.time_base()?) {
                order::look_at_pictures(&mut scan.packets, demuxer)?;
                return Ok(scan);
            }
        }
    }
    demuxer.source().keep_what_is_read()?;
    read_all(demuxer, Some(&mut stream), limits)
}

/// Whether no packet is marked as a key frame, or too many are: then to examine each of them costs more than to read
/// the file once.
fn are_doubtful(packets: &[ScannedPacket]) -> bool {
    let called = packets.iter().filter(|packet| packet.is_entry);
    let (count, bytes) = called.fold((0, 0), |(count, bytes), packet| (count + 1, bytes + packet.size));
    count == 0 || count > packets.len().div_ceil(PLAUSIBLE_DISTANCE) && bytes < count * CLOSE_BYTES
}

/// Examines the packets that the container marks as key frames, and always the first packet.
fn look_into_key_frames(scan: &mut Scan, demuxer: &Demuxer, mut stream: Bitstream) -> Result<(), MediaError> {
    let mut source = demuxer.source().open()?;
    for (at, packet) in scan.packets.iter_mut().enumerate() {
        if packet.new_extradata.is_none() && !packet.is_entry && at > 0 {
            continue;
        }
        if let Some(extradata) = packet.new_extradata.take() {
            describe_anew(&mut stream, &extradata, at)?;
        }
        let whole = packet.size.min(HEAD_BYTES);
        let data = first_bytes(&mut source, packet, whole, &stream)
            .map_err(|error| MediaError::io("read", demuxer.path(), error))?;
        let (facts, lead_in) = stream.inspect(&data);
        // The end of a packet also says whether it shows a picture; in an MP4 every packet does.
        (packet.is_entry, packet.lead_in) = (facts.is_entry, lead_in);
    }
    scan.can_be_copied &= stream.can_be_copied;
    Ok(())
}

/// The first bytes of a packet, or the whole packet if its picture begins later.
fn first_bytes(
    source: &mut Opened,
    packet: &ScannedPacket,
    bytes: usize,
    stream: &Bitstream,
) -> std::io::Result<Vec<u8>> {
    let Ok(position) = u64::try_from(packet.position) else { return Ok(Vec::new()) };
    let mut data = vec![0; bytes];
    source.read_exactly_at(position, &mut data)?;
    if bytes < packet.size && !stream.reaches_picture(&data) {
        return first_bytes(source, packet, packet.size, stream);
    }
    Ok(data)
}

/// Whether some part has no entry point for so long that all packets are examined.
fn are_far_apart(packets: &[ScannedPacket], time_base: Rational) -> bool {
    let time = |packet: &ScannedPacket| packet.dts.or(packet.pts);
    let ends = packets.first().into_iter().chain(packets.last());
    let mut times: Vec<i64> = packets.iter().filter(|packet| packet.is_entry).chain(ends).filter_map(time).collect();
    times.sort_unstable();
    times.windows(2).any(|pair| (pair[1] as f64 - pair[0] as f64) * time_base.to_f64() > FAR_APART_S)
}

/// Reads every packet of the stream, or those after the notes. Without a `stream` that examines the packets, the
/// container's information is trusted.
pub(crate) fn read_all(
    demuxer: &mut Demuxer,
    mut stream: Option<&mut Bitstream>,
    limits: &Limits,
) -> Result<Scan, MediaError> {
    // What only the index tells is not noted.
    let mut notebook = if stream.is_some() { Notebook::of(demuxer)? } else { None };
    if let Some(notebook) = notebook.as_mut().filter(|notebook| notebook.is_behind()) {
        let fresh = stream.as_deref().cloned();
        if notebook.go_back(demuxer)?
            && let Some(scan) = read_on(demuxer, stream.as_deref_mut(), Some(&mut *notebook), limits)?
        {
            return Ok(scan);
        }
        *demuxer = Demuxer::open(demuxer.source(), Timeline::Media, limits)?;
        notebook.start_again();
        if let (Some(stream), Some(fresh)) = (&mut stream, fresh) {
            **stream = fresh;
        }
    }
    // Only what is behind its notes comes to no end.
    let scan = read_on(demuxer, stream, notebook.as_mut(), limits)?;
    Ok(scan.unwrap_or(Scan { packets: Vec::new(), can_be_copied: true }))
}

/// Reads every packet from here on. None if the packets do not equal the noted ones.
fn read_on(
    demuxer: &mut Demuxer,
    mut stream: Option<&mut Bitstream>,
    mut notebook: Option<&mut Notebook>,
    limits: &Limits,
) -> Result<Option<Scan>, MediaError> {
    let mut heads = if stream.is_some() { PictureHeads::of(&demuxer.parameters()?) } else { None };
    let mut packets: Vec<ScannedPacket> = Vec::new();
    let mut can_be_copied = true;
    let mut packet = Packet::empty();
    while demuxer.read(&mut packet)? {
        let data = packet.data().unwrap_or_default();
        if packet.side_data().any(|side| side.kind() == ffmpeg::codec::packet::side_data::Type::EncryptionInfo) {
            let how = format!("the packet of picture {} needs a key", packets.len());
            return Err(MediaError::Encrypted { path: demuxer.path().to_owned(), how });
        }
        let head = heads.as_mut().map(|heads| heads.read(data)).unwrap_or_default();
        let mut found = ScannedPacket {
            pts: packet.pts(),
            dts: packet.dts(),
            duration: packet.duration(),
            position: packet.position() as i64,
            size: data.len(),
            is_entry: packet.is_key(),
            // SAFETY: a plain field of a live packet.
            is_discarded: unsafe { (*packet.as_ptr()).flags & ffi::AV_PKT_FLAG_DISCARD != 0 },
            has_picture: !data.is_empty(),
            is_lost: false,
            is_hidden: false,
            is_second_field: head.is_second_field,
            shows_before_previous: head.shows_before_previous,
            new_extradata: None,
            lead_in: None,
        };
        for side in packet.side_data() {
            match side.kind() {
                side_data::Type::NewExtraData if !side.data().is_empty() => {
                    found.new_extradata = Some(side.data().into())
                }
                // A chunk has one description of its stream, in front of all packets.
                side_data::Type::Palette | side_data::Type::ParamChange => can_be_copied = false,
                _ => {}
            }
        }
        if let Some(stream) = &mut stream {
            if let Some(extradata) = found.new_extradata.take() {
                describe_anew(stream, &extradata, packets.len())?;
            }
            let (facts, lead_in) = stream.inspect(data);
            (found.is_entry, found.has_picture, found.lead_in) = (facts.is_entry, facts.has_picture, lead_in);
        }
        found.has_picture &= !head.is_second_field;
        packets.push(found);
        let is_plain = can_be_copied && stream.as_ref().is_none_or(|stream| stream.can_be_copied);
        if let Some(notebook) = &mut notebook
            && notebook.note(&mut packets, &packet, is_plain, demuxer)? == Then::StartAgain
        {
            return Ok(None);
        }
        limits.check_frames(packets.len() as u64)?;
    }
    if notebook.is_some_and(|notebook| notebook.is_behind()) {
        return Ok(None);
    }
    for at in 1..packets.len() {
        if packets[at].is_second_field {
            packets[at - 1].duration = packets[at - 1].duration.saturating_add(packets[at].duration);
        }
    }
    if !can_be_copied {
        // A decoder that starts later was not given the new description.
        let entries = packets.iter_mut().filter(|packet| packet.is_entry);
        entries.skip(1).for_each(|packet| packet.is_entry = false);
    }
    can_be_copied &= stream.is_none_or(|stream| stream.can_be_copied);
    Ok(Some(Scan { packets, can_be_copied }))
}

/// The same description again is not a change.
fn describe_anew(stream: &mut Bitstream, extradata: &[u8], at: usize) -> Result<(), MediaError> {
    match stream.describe_anew(extradata) {
        true => Ok(()),
        false => Err(MediaError::Unsupported {
            reason: format!(
                "the video changes its codec parameters at packet {at}; re-encode it into one uniform stream"
            ),
        }),
    }
}

/// Gives every packet that shows a picture a unique presentation time.
///
/// Containers with timestamps state it. AVI states only decoding times. Without reordering, both are equal, and FFmpeg
/// sets the presentation times. With reordering, the video is decoded once, and the n-th picture of the decoder gets
/// the n-th decoding time, as in every player. A container can also state wrong times: see [`order`].
///
/// If the clock is too coarse for the frame rate, several pictures have the same tick. They are spread over that tick,
/// on a finer clock.
pub(crate) fn settle_times(
    packets: &mut [ScannedPacket],
    source: &Demuxer,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<Settled, MediaError> {
    let time_base = source.time_base()?;
    if let Some(fine) = time_base.finer(FINENESS).filter(|_| outruns_its_clock(packets)) {
        let ShownPictures { pictures, is_shown, .. } = shown_pictures(packets.len(), source, limits)?;
        packets.iter_mut().zip(&is_shown).for_each(|(p, &shown)| p.has_picture = shown);
        spread_over_ticks(packets, &pictures);
        warnings
            .push("more pictures than ticks of the container's clock: those that share one are spread over it".into());
        return Ok(Settled { times_are_stated: false, time_base: fine, fineness: FINENESS });
    }
    let times_are_stated = settle_stated_times(packets, source, limits, warnings)?;
    Ok(Settled { times_are_stated, time_base, fineness: 1 })
}

/// What is known of the times of all pictures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// Whether the container stated all of them.
    pub times_are_stated: bool,
    /// Seconds per tick of them.
    pub time_base: Rational,
    /// Ticks of them in one of the container's.
    pub fineness: i64,
}

/// Whether the clock has fewer ticks than pictures, as Matroska's milliseconds for more than 1,000 pictures a second.
fn outruns_its_clock(packets: &[ScannedPacket]) -> bool {
    let pictures = || packets.iter().filter(|p| p.has_picture);
    let (first, last) = (pictures().filter_map(|p| p.pts).min(), pictures().filter_map(|p| p.pts).max());
    let all_stated = pictures().all(|p| p.pts.is_some());
    first.zip(last).is_some_and(|(first, last)| {
        all_stated && pictures().count() as i64 - 1 > last.saturating_sub(first) && last > first
    })
}

/// Makes ticks [`FINENESS`] times as fine. Pictures that had the same tick get times at even distances within it, in
/// the order of `shown`.
fn spread_over_ticks(packets: &mut [ScannedPacket], shown: &[DecodedPicture]) {
    for packet in packets.iter_mut() {
        packet.pts = packet.pts.map(|pts| pts.saturating_mul(FINENESS));
        packet.dts = packet.dts.map(|dts| dts.saturating_mul(FINENESS));
        packet.duration = packet.duration.saturating_mul(FINENESS);
    }
    let mut times: Vec<i64> = shown.iter().filter_map(|picture| packets[picture.packet].pts).collect();
    times.sort_unstable();
    let mut spread = Vec::with_capacity(times.len());
    for tick in times.chunk_by(|a, b| a == b) {
        spread.extend(tick.iter().zip(0..).map(|(time, nth)| time + nth * FINENESS / tick.len() as i64));
    }
    shown.iter().zip(spread).for_each(|(picture, time)| packets[picture.packet].pts = Some(time));
}

fn settle_stated_times(
    packets: &mut [ScannedPacket],
    source: &Demuxer,
    limits: &Limits,
    warnings: &mut Vec<String>,
) -> Result<bool, MediaError> {
    let are_all_there = packets.iter().all(|p| !p.has_picture || p.pts.is_some());
    let mut decoded = None;
    if !are_all_there {
        let shown = shown_pictures(packets.len(), source, limits)?;
        let missing = packets.iter().zip(&shown.is_shown).filter(|(p, shown)| p.has_picture && !**shown).count();
        if missing > 0 {
            warnings.push(format!("{missing} packets without a timestamp show no picture"));
        }
        packets.iter_mut().zip(&shown.is_shown).for_each(|(p, &shown)| p.has_picture = shown);
        let order: Vec<usize> = shown.pictures.iter().map(|picture| picture.packet).collect();
        let is_avi = source.input().format().name() == "avi";
        if is_avi || order.iter().all(|&index| packets[index].pts.is_none()) {
            show_at_decoding_times(packets, &order)?;
        } else {
            fill_gaps(packets, &order);
        }
        decoded = Some(shown.pictures);
    }
    check_clock(packets, source.time_base()?)?;
    let are_unique = make_unique(packets, warnings) == 0;
    if are_all_there && !are_unique {
        // The clock contradicts itself.
        let shown = shown_pictures(packets.len(), source, limits)?;
        packets.iter_mut().zip(&shown.is_shown).for_each(|(p, &shown)| p.has_picture = shown);
        decoded = Some(shown.pictures);
    }
    if decoded.is_none() && order::contradicts_times(packets) {
        decoded = Some(decode_order_of_pictures(source, limits)?.0);
    }
    // The decoder's order is the order in which pictures are shown, whatever the container says.
    let are_reordered = decoded.is_some_and(|pictures| order::show_as_decoded(packets, &pictures, warnings));
    Ok(are_all_there && are_unique && !are_reordered)
}

/// The result of decoding the whole stream.
pub(crate) struct ShownPictures {
    /// The pictures, in the order in which they come out.
    pub pictures: Vec<DecodedPicture>,
    /// For each packet, whether it has a picture.
    pub is_shown: Vec<bool>,
    /// Pictures a second, if the stream itself says so.
    pub stated_rate: Option<Rational>,
}

/// Decodes the whole stream.
pub(crate) fn shown_pictures(packets: usize, source: &Demuxer, limits: &Limits) -> Result<ShownPictures, MediaError> {
    let (pictures, stated_rate) = decode_order_of_pictures(source, limits)?;
    let mut is_shown = vec![false; packets];
    for picture in &pictures {
        // A file that grew since it was scanned has packets that are not known.
        if is_shown.get_mut(picture.packet).is_none_or(|shown| std::mem::replace(shown, true)) {
            return Err(MediaError::Unsupported {
                reason: "packets hold two pictures each (packed B-frames); \
                         remux the file with `-c copy -bsf:v mpeg4_unpack_bframes`"
                    .into(),
            });
        }
    }
    Ok(ShownPictures { pictures, is_shown, stated_rate })
}

/// Gives the n-th picture of `shown` the n-th decoding time.
fn show_at_decoding_times(packets: &mut [ScannedPacket], shown: &[usize]) -> Result<(), MediaError> {
    let mut times: Vec<i64> = shown.iter().filter_map(|&i| packets[i].dts.or(packets[i].pts)).collect();
    if times.len() != shown.len() {
        return Err(MediaError::Unsupported {
            reason: "the pictures have no timestamps at all; put the stream into a container".into(),
        });
    }
    times.sort_unstable();
    shown.iter().zip(times).for_each(|(&index, time)| packets[index].pts = Some(time));
    Ok(())
}

/// Gives times to pictures of `shown` that have none: after the duration of the picture before, or halfway to the next
/// picture.
fn fill_gaps(packets: &mut [ScannedPacket], shown: &[usize]) {
    for at in 0..shown.len() {
        if packets[shown[at]].pts.is_some() {
            continue;
        }
        let next = shown[at + 1..].iter().find_map(|&i| packets[i].pts);
        let previous = at.checked_sub(1).map(|i| &packets[shown[i]]);
        let guess = match (previous.and_then(|p| p.pts.map(|pts| (pts, p.duration.max(1)))), next) {
            (Some((pts, duration)), Some(next)) if pts + duration >= next => pts + (next - pts) / 2,
            (Some((pts, duration)), _) => pts + duration,
            (None, Some(next)) => next - packets[shown[at]].duration.max(1),
            (None, None) => 0,
        };
        packets[shown[at]].pts = Some(guess);
    }
}

/// Decodes the whole stream. Returns its pictures in the order of the decoder, and the rate that the stream states.
fn decode_order_of_pictures(
    source: &Demuxer,
    limits: &Limits,
) -> Result<(Vec<DecodedPicture>, Option<Rational>), MediaError> {
    decode_order_on(std::thread::available_parallelism().map_or(1, usize::from), source, limits)
}

fn decode_order_on(
    threads: usize,
    source: &Demuxer,
    limits: &Limits,
) -> Result<(Vec<DecodedPicture>, Option<Rational>), MediaError> {
    let mut demuxer = Demuxer::open(source.source(), Timeline::Media, limits)?;
    let mut decoder = Decoder::open(demuxer.parameters()?, demuxer.time_base()?, threads, limits, source.path())?;
    let (mut packet, mut picture) = (Packet::empty(), frame::Video::empty());
    let (mut order, mut fed, mut finished) = (Vec::new(), 0usize, false);
    loop {
        match decoder.receive(&mut picture)? {
            Step::Picture => {
                let is_whole = !picture.is_corrupt() && !picture.has_decode_errors();
                let packet = picture.pts().and_then(|tag| usize::try_from(tag).ok());
                order.extend(packet.map(|packet| DecodedPicture { packet, is_whole }));
            }
            Step::Finished => return Ok((order, decoder.frame_rate())),
            Step::IsDamaged => return decode_order_on(1, source, limits),
            Step::Error => {}
            Step::NeedsPacket if finished => return Ok((order, decoder.frame_rate())),
            Step::NeedsPacket => {
                if demuxer.read(&mut packet)? {
                    tag_packet(&mut packet, fed);
                    fed += 1;
                    decoder.send(&packet)?;
                } else {
                    finished = true;
                    decoder.send_eof()?;
                }
            }
        }
    }
}

/// Replaces the packet's times by its index, which the decoder copies to the picture.
pub(crate) fn tag_packet(packet: &mut Packet, index: usize) {
    packet.set_pts(Some(index as i64));
    packet.set_dts(Some(index as i64));
}

/// All later steps would take two pictures with the same time for one picture. So the later one is moved by a tick.
fn make_unique(packets: &mut [ScannedPacket], warnings: &mut Vec<String>) -> u64 {
    let mut order: Vec<usize> = (0..packets.len()).filter(|&i| packets[i].has_picture).collect();
    order.sort_by_key(|&i| packets[i].pts);
    let (mut last, mut moved) = (None, 0u64);
    for index in order {
        let Some(pts) = packets[index].pts else { continue };
        let unique = last.map_or(pts, |last: i64| pts.max(last.saturating_add(1)));
        moved += u64::from(unique != pts);
        packets[index].pts = Some(unique);
        last = Some(unique);
    }
    if moved > 0 {
        warnings.push(format!("{moved} pictures share the time of another one and were moved by a tick"));
    }
    moved
}
