//! `trackdrop verify`: checks for a user's file that cutting loses no frame and adds none.

use crate::{args::VerifyArguments, output::line, settings, whole_file};
use anyhow::{Context, bail};
use serde_json::json;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::ExitCode,
};
use trackdrop_media::{MediaError, Source, Verification, VerifiedFrame, VerifyOptions, VideoIndex, verify_each};
use trackdrop_pipeline::RequestSettings;

/// The exit code where the chunks differ from the serial decode. 1 means that they could not be compared.
const DIFFERS: u8 = 3;

pub(crate) fn verify(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    RequestSettings { segment_seconds: arguments.segment_seconds, ..RequestSettings::default() }.check()?;
    let scratch = tempfile::tempdir().context("a folder for one chunk at a time can't be made")?;
    let options = VerifyOptions {
        segment_seconds: arguments.segment_seconds,
        limits: crate::host::limits()?,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let source = settings::source(&arguments.video, &arguments.reading)?;
    let compared = match &arguments.frames {
        None => verify_each(&source, &options, scratch.path(), &mut |_, _| ()).map_err(Into::into),
        Some(path) => whole_file::write(path, |file| list_frames(&source, &options, scratch.path(), file)),
    };
    let found = match compared {
        Ok(found) => found,
        Err(error) => match error.downcast_ref::<MediaError>() {
            Some(refused) if arguments.markdown && !refused.is_transient() => {
                line!("refused: {}", without_path(refused, arguments));
                return Ok(ExitCode::FAILURE);
            }
            // Where a chunk lay for a moment is of no use to anybody.
            Some(error) => bail!("{}", error.to_string().replace(&format!("{}/", scratch.path().display()), "")),
            None => return Err(error),
        },
    };
    if arguments.json {
        let is_exact = found.is_exact();
        let mut all = json!({ "video": arguments.video, "exact": is_exact, "verification": found });
        if let Some(difference) = &found.first_difference {
            all["difference"] = json!(difference.to_string());
        }
        line!("{all}");
    } else if arguments.markdown {
        line!("{}", in_a_line(&found));
    } else {
        print(&found, arguments)?;
    }
    Ok(if found.is_exact() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

/// Compares, and writes a line for each frame.
fn list_frames(source: &Source, options: &VerifyOptions, scratch: &Path, file: &File) -> anyhow::Result<Verification> {
    let mut lines = BufWriter::new(file);
    let mut written = writeln!(lines, "frame_index,pts,time_s,md5,damaged");
    let mut each = |video: &VideoIndex, frame: VerifiedFrame| {
        let VerifiedFrame { frame_index, pts, md5, is_damaged } = frame;
        let time_s = (pts - video.origin_pts) as f64 * video.time_base.to_f64();
        let md5 = md5.map(|byte| format!("{byte:02x}")).concat();
        if written.is_ok() {
            written = writeln!(lines, "{frame_index},{pts},{time_s:.6},{md5},{is_damaged}");
        }
    };
    let found = verify_each(source, options, scratch, &mut each)?;
    written?;
    lines.flush()?;
    Ok(found)
}

fn print(found: &Verification, arguments: &VerifyArguments) -> anyhow::Result<()> {
    let ledger = &found.ledger;
    line!("{}", arguments.video.display().to_string().escape_debug());
    let ((stored_width, stored_height), (width, height)) = (found.stored_size_px, found.upright_size_px);
    let stored = if found.orientation.is_upright() {
        String::new()
    } else {
        format!(", stored as {stored_width}x{stored_height} that have to be {} and compared so", found.orientation)
    };
    line!("  picture     {width}x{height}{stored}");
    let reencoded = match found.segments_reencoded {
        0 => String::new(),
        count => format!(", {count} of them re-encoded without loss"),
    };
    line!("  segments    {}{reencoded}", found.segments);
    line!(
        "  frames      {} planned, {} decoded whole, {} damaged",
        ledger.frames,
        ledger.frames_whole,
        ledger.frames_damaged
    );
    line!(
        "  times       {}",
        if found.times_are_stated { "as the container states them" } else { "found by decoding" }
    );
    for (count, what) in [
        (found.left_out, "pictures of the serial decode are no part of the video"),
        (found.unequal_after_damage, "pictures have other errors than in the serial decode, after damage"),
    ] {
        if count > 0 {
            line!("  note        {count} {what}");
        }
    }
    for warning in &found.warnings {
        line!("  note        {warning}");
    }
    match &found.first_difference {
        None => line!("  verdict     exact: the chunks give the serial decode's frames, each once, at its time"),
        Some(difference) => line!("  verdict     DIFFERENT: {difference}"),
    }
    Ok(())
}

/// The result as a cell of a table.
fn in_a_line(found: &Verification) -> String {
    let ledger = &found.ledger;
    if let Some(difference) = &found.first_difference {
        return format!("DIFFERENT: {difference}");
    }
    let mut text = format!("exact, {} frames in {} segments", ledger.frames, found.segments);
    if found.segments_reencoded > 0 {
        text += &format!(", {} by `lossless_transcode`", found.segments_reencoded);
    }
    if ledger.frames_damaged > 0 {
        text += &format!("; `frames_damaged` {}", ledger.frames_damaged);
    }
    if !found.times_are_stated {
        text += "; times found by decoding";
    }
    if found.left_out > 0 {
        text += &format!("; {} undecodable pictures left out", found.left_out);
    }
    text
}

/// The message of a refusal without the path, so that it is the same on every machine.
fn without_path(error: &MediaError, arguments: &VerifyArguments) -> String {
    error.to_string().replace(&format!("{:?}", arguments.video), "the file")
}
