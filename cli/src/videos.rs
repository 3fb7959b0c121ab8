//! Which videos a user means by the words after `trackdrop run`: files, folders, patterns, addresses.

use crate::address::Address;
use anyhow::{Context, bail};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use trackdrop_pipeline::{
    Bucket,
    names::{LONGEST_SHOWN, ObjectName, cut},
    trigger::Trigger,
};

/// How the names of videos end: what cameras, recorders and editors write of that which can be tracked. Of a folder, files of other names
/// are left out; one that is named by itself is taken whatever it is called.
const ENDINGS: &[&str] = &[
    "3g2", "3gp", "264", "265", "asf", "avc", "avi", "dav", "divx", "dv", "f4v", "flv", "gxf", "h264", "h265", "hevc",
    "ivf", "m1v", "m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts",
    "mxf", "nut", "obu", "ogv", "qt", "ts", "vob", "webm", "wmv", "y4m",
];

/// A video that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// On this machine.
    File(PathBuf),
    /// Somewhere else.
    Address(Address),
}

impl Given {
    /// Its file name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Address(address) => address.name().to_owned(),
        }
    }
}

/// The videos that are meant, each once, in the order of the words and within a folder by name.
///
/// # Errors
/// Nothing is meant by a word, or a folder can't be read.
pub(crate) fn meant(words: &[PathBuf], recursive: bool, uploads: &Trigger) -> anyhow::Result<Vec<Given>> {
    let mut videos = Vec::new();
    for word in words {
        if let Some(address) = word.to_str().filter(|word| word.contains("://")) {
            match Address::parse(address)? {
                Some(address) => videos.push(Given::Address(address)),
                None => bail!("{:?} can't be fetched: {}", cut(address, LONGEST_SHOWN), instead_of(address)),
            }
        } else {
            videos.extend(files(word, recursive, uploads)?.into_iter().map(Given::File));
        }
    }
    let mut seen: Vec<Given> = Vec::new();
    let mut files = BTreeSet::new();
    for video in videos {
        let is_new = match &video {
            Given::File(path) => files.insert(path.clone()),
            Given::Address(_) => !seen.contains(&video),
        };
        seen.extend(is_new.then_some(video));
    }
    Ok(seen)
}

/// The files that a path or a pattern means.
fn files(word: &Path, recursive: bool, uploads: &Trigger) -> anyhow::Result<Vec<PathBuf>> {
    if word.is_dir() {
        let mut found = Vec::new();
        in_folder(word, recursive, uploads, &mut found)?;
        if found.is_empty() {
            let deeper = if recursive { "" } else { "; --recursive looks into its folders, too" };
            bail!("there is no video in {word:?}{deeper}");
        }
        return Ok(found);
    }
    match word.to_str().filter(|pattern| !word.exists() && pattern.contains(['*', '?', '['])) {
        Some(pattern) => of_pattern(pattern),
        None => Ok(vec![word.to_owned()]),
    }
}

/// The files that match a pattern which the shell did not expand.
fn of_pattern(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern).with_context(|| format!("{pattern:?} is not a pattern of file names"))?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.with_context(|| format!("{pattern:?} can't be searched everywhere"))?;
        files.extend(Some(path).filter(|path| path.is_file()));
    }
    if files.is_empty() {
        bail!("no file is named like {pattern:?}");
    }
    Ok(files)
}

/// The videos in a folder. What an upload's name would have ignored is left out here, too.
///
/// # Errors
/// A folder can't be read.
pub(crate) fn in_folder(
    folder: &Path,
    recursive: bool,
    uploads: &Trigger,
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let unreadable = || format!("the folder {folder:?} can't be read");
    let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // A link to a folder may lead back to where it is.
        let is_folder = entry.file_type().with_context(unreadable)?.is_dir();
        if name.starts_with('.') {
            continue;
        }
        if is_folder && recursive {
            in_folder(&path, recursive, uploads, found)?;
        } else if !is_folder && is_video(&path) && path.is_file() {
            found.extend(uploads.ignores(&ObjectName::new(Bucket::Uploads, name), None).is_none().then_some(path));
        }
    }
    Ok(())
}

fn is_video(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// What to do with an address that can't be fetched.
fn instead_of(address: &str) -> &'static str {
    match address.split("://").next().unwrap_or_default() {
        "rtsp" | "rtsps" | "rtmp" | "rtmps" | "srt" | "udp" | "rtp" => {
            "a stream has no end, so record it into files, \
             `ffmpeg -rtsp_transport tcp -i ADDRESS -c copy -f segment -segment_time 600 -strftime 1 cam-%Y%m%dT%H%M%S.mkv`, and let \
             `trackdrop watch FOLDER` process each file once it is complete"
        }
        "s3" => "fetch it first, `aws s3 cp ADDRESS .`",
        _ => "give an address that begins with https://, http:// or gs://, or a file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    /// The names that are found of a folder with these files.
    fn found(files: &[&str], recursive: bool) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = meant(&[folder.path().to_owned()], recursive, &host::uploads().unwrap());
        let name = |video: &Given| match video {
            Given::File(path) => path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned(),
            Given::Address(address) => panic!("{address:?}"),
        };
        found.map(|found| found.iter().map(name).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn of_a_folder_the_videos_are_taken_by_name_and_nothing_else() {
        let files = ["b.mp4", "A.MOV", "notes.md", "b.srt", ".hidden.mp4", "._b.mp4", "b.mp4.part", "deep/c.mkv", "d"];
        assert_eq!(found(&files, false).unwrap(), ["A.MOV", "b.mp4"]);
        assert_eq!(found(&files, true).unwrap(), ["A.MOV", "b.mp4", "deep/c.mkv"]);
    }

    #[test]
    fn a_folder_without_videos_is_refused_with_the_option_that_looks_deeper() {
        assert!(found(&["deep/c.mkv"], false).unwrap_err().contains("--recursive"));
        assert!(!found(&["notes.md"], true).unwrap_err().contains("--recursive"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.mp4"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        let found = meant(&[folder.path().to_owned()], true, &host::uploads().unwrap()).unwrap();
        assert_eq!(found, [Given::File(folder.path().join("a.mp4"))]);
    }

    #[test]
    fn a_pattern_that_the_shell_left_means_the_files_named_so_and_a_file_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["cam1.mp4", "cam2.mp4", "door.mp4", "odd[1].mp4"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let of = |words: &[&str]| {
            let words: Vec<PathBuf> = words.iter().map(|word| folder.path().join(word)).collect();
            meant(&words, false, &host::uploads().unwrap()).map(|found| found.len()).map_err(|error| error.to_string())
        };
        assert_eq!((of(&["cam*.mp4"]), of(&["cam?.mp4", "cam1.mp4"])), (Ok(2), Ok(2)));
        assert_eq!(of(&["odd[1].mp4"]), Ok(1), "a file that is there is no pattern");
        assert!(of(&["gate*.mp4"]).unwrap_err().contains("no file is named like"));
    }

    #[test]
    fn what_has_no_end_or_can_t_be_fetched_is_refused_with_what_to_do_instead() {
        for (address, remedy) in
            [("rtsp://camera/1", "-f segment"), ("s3://bucket/a.mp4", "aws s3 cp"), ("ftp://a/b.mp4", "https://")]
        {
            let error = meant(&[address.into()], false, &host::uploads().unwrap()).unwrap_err().to_string();
            assert!(error.contains(remedy) && error.contains(address), "{error}");
        }
    }

    #[test]
    fn an_address_is_a_video_of_the_name_at_its_end() {
        let twice =
            ["https://example.com/a/gate%201.mp4?token=x".into(), "https://example.com/a/gate%201.mp4?token=x".into()];
        let [Given::Address(address)] = &meant(&twice, false, &host::uploads().unwrap()).unwrap()[..] else { panic!() };
        assert_eq!(address.name(), "gate 1.mp4");
        let google = meant(&["gs://bucket/cams/door.mp4".into()], false, &host::uploads().unwrap()).unwrap();
        assert_eq!(google[0].name(), "door.mp4");
        for nameless in ["https://example.com/", "gs://bucket", "gs://bucket/cams/", "https:///a.mp4", "gs:///a.mp4"] {
            let error = meant(&[nameless.into()], false, &host::uploads().unwrap()).unwrap_err().to_string();
            assert!(error.contains(nameless), "{error}");
        }
    }
}
