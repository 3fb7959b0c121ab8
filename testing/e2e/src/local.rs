//! The same clip on one machine, by the `trackdrop` command: the results that the services must have.

use crate::{
    deployment::checkout,
    rows::{Rows, of_lines, plain},
    service::program,
};
use bytes::Bytes;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use trackdrop_tables::schema::TRACKS;

/// A data directory with one finished request.
#[derive(Debug)]
pub struct LocalRun {
    data: PathBuf,
    /// The request.
    pub request: String,
}

/// Makes a short clip of people who move: a window that wanders over the picture of the demo, with sound.
pub fn clip(path: &Path) {
    let arguments = "-nostdin -v error -y -loop 1 -framerate 25 -i docs/demo.jpg -f lavfi -i sine=440:r=48000 -t 4 \
        -vf crop=480:360:x=20*t+40:y=60+20*sin(t),format=yuv420p -c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac";
    let status = Command::new("ffmpeg").args(arguments.split_whitespace()).arg(path).current_dir(checkout()).status();
    assert!(status.unwrap().success(), "ffmpeg {arguments}");
}

impl LocalRun {
    /// Runs the clip to its end.
    pub fn of(clip: &Path, data: &Path, options: &[&str]) -> Self {
        let output = trackdrop(data, &[&["run", "--json"], options, &[clip.to_str().unwrap()]].concat());
        let summary: Value = serde_json::from_str(&output).unwrap();
        Self { data: data.to_owned(), request: summary["request_id"].as_str().unwrap().to_owned() }
    }

    /// The file of the results.
    pub fn result(&self, file: &str) -> Bytes {
        std::fs::read(self.data.join("results").join(&self.request).join(file)).unwrap().into()
    }

    /// Runs the command on this data directory; gives its standard output.
    pub fn trackdrop(&self, arguments: &[&str]) -> String {
        trackdrop(&self.data, arguments)
    }

    /// The rows of an answer, their values with commas between; none has one in itself.
    pub fn asked(&self, sql: &str) -> Vec<String> {
        let csv = self.trackdrop(&["query", "--format", "csv", sql]);
        csv.lines().skip(1).map(|line| plain(line.split(','))).collect()
    }

    /// The rows of the table `tracks`, without what the upload decides.
    pub fn rows(&self) -> Rows {
        let sql = "SELECT * FROM tracks ORDER BY frame_index, track_id";
        of_lines(&TRACKS, &trackdrop(&self.data, &["query", "--format", "json", sql]))
    }
}

/// Runs the command; gives its standard output.
fn trackdrop(data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program("trackdrop").unwrap());
    let output = command.current_dir(checkout()).arg("--data").arg(data).args(arguments).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
