//! Runs the `trackdrop` command as a user does: on clips made by `ffmpeg` here and now, in data directories of its own.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]

pub mod turned;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// No command of these tests takes a tenth of it; one that does hangs, is killed, and fails the test.
const HANGS_AFTER: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(2);

/// The detector of the tests: three boxes that follow the colour of the picture. See `fixtures/make_models.py`.
pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/colours.onnx")
}

/// How a clip is encoded.
pub mod codec {
    /// Open GOPs with B-frames: leading pictures of a key frame need the GOP before it.
    pub const OPEN_GOP: &str = "-c:v libx264 -preset veryfast -bf 3 -g 12 -x264-params open-gop=1:scenecut=0";
    /// What most cameras and phones write.
    pub const H264: &str = "-c:v libx264 -preset veryfast -g 12";
    /// MPEG-4 in AVI, whose packets carry no PTS.
    pub const MPEG4: &str = "-c:v mpeg4 -vtag XVID -q:v 4 -g 12";
}

/// Encodes moving test picture whose colour wanders, so that the test detector has something to follow.
pub fn clip(path: &Path, seconds: u32, encode: &str) {
    let source = format!(
        "-f lavfi -i testsrc2=s=160x120:r=25:d={seconds} -f lavfi -i color=red:s=160x120:r=25:d={seconds},hue=h=60*t \
         -filter_complex blend=all_opacity=0.5,format=yuv420p"
    );
    ffmpeg(&format!("{source} {encode}"), path);
}

/// Runs `ffmpeg` with space-separated arguments into `out`.
pub fn ffmpeg(arguments: &str, out: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments.split_whitespace()).arg(out);
    let output = command.output().unwrap();
    assert!(output.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What `ffprobe` says, with space-separated arguments.
pub fn ffprobe(arguments: &str, file: &Path) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error"])
        .args(arguments.split_whitespace())
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "ffprobe {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The times of all frames that a player shows, in seconds, as `ffprobe` decodes and prints them.
pub fn frame_times(file: &Path) -> Vec<String> {
    let printed = ffprobe("-select_streams v -show_entries frame=pts_time", file);
    // A frame with side data has an empty field and an empty line after it.
    printed.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|time| !time.is_empty()).collect()
}

/// The SHA-256 of a file, hex.
pub fn sha256(path: &Path) -> String {
    let content = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    format!("{:x}", Sha256::digest(content))
}

/// A folder with clips and a data directory beside them.
pub struct Scene {
    pub folder: TempDir,
    pub data: PathBuf,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { folder, data }
    }

    /// A scene with one clip.
    pub fn with_clip(name: &str, seconds: u32, encode: &str) -> (Self, PathBuf) {
        let scene = Self::new();
        let video = scene.path(name);
        clip(&video, seconds, encode);
        (scene, video)
    }

    /// A path beside the data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another data directory in the same folder.
    pub fn other(&self, name: &str) -> Data {
        Data(self.path(name))
    }

    pub fn data(&self) -> Data {
        Data(self.data.clone())
    }
}

/// A data directory, seen from outside.
#[derive(Clone)]
pub struct Data(pub PathBuf);

impl Data {
    /// `trackdrop --data DIR ...`, not started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trackdrop"));
        command.env_remove("TRACKDROP_DATA").env_remove("RUST_LOG").arg("--data").arg(&self.0);
        command
    }

    /// Runs `trackdrop` with these arguments to its end.
    pub fn trackdrop<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ended {
        Running::start(self.command().args(arguments)).end()
    }

    /// `run` with the test detector, not started.
    pub fn run_command(&self, videos: &[&Path], options: &[&str]) -> Command {
        let mut command = self.command();
        command.arg("run").arg("--model").arg(model()).args(options).args(videos);
        command
    }

    /// `run` with the test detector, to its end.
    pub fn run(&self, videos: &[&Path], options: &[&str]) -> Ended {
        Running::start(&mut self.run_command(videos, options)).end()
    }

    /// `run --json` that must succeed: one summary a video.
    pub fn run_json(&self, videos: &[&Path], options: &[&str]) -> Vec<serde_json::Value> {
        let ended = self.run(videos, &[&["--json"], options].concat()).expect_success();
        ended.json()
    }

    /// The answer of `query` as CSV, without the header.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let ended = self.trackdrop(["query", "--format", "csv", sql]).expect_success();
        ended.stdout.lines().skip(1).map(str::to_owned).collect()
    }

    /// What `requests --json` lists; nothing where no data directory was ever made.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        if !self.0.exists() {
            return vec![];
        }
        self.trackdrop(["requests", "--json"]).expect_success().json()
    }

    /// The manifest of a request.
    pub fn manifest(&self, request: &str) -> serde_json::Value {
        let ended = self.trackdrop(["show", "--json", request]).expect_success();
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// The file of a request's results.
    pub fn result(&self, request: &str, file: &str) -> PathBuf {
        self.0.join("results").join(request).join(file)
    }

    /// The only request's id.
    pub fn only_request(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0]["request_id"].as_str().unwrap().to_owned()
    }

    /// The existing objects whose `bucket/name` begins so, with their generations; nothing if there is no catalog yet.
    pub fn objects(&self, prefix: &str) -> BTreeMap<String, i64> {
        self.existing(prefix).unwrap_or_default()
    }

    fn existing(&self, prefix: &str) -> rusqlite::Result<BTreeMap<String, i64>> {
        let catalog = self.0.join(".store/catalog.db");
        let connection = Connection::open_with_flags(catalog, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        let mut query = connection.prepare("SELECT bucket || '/' || CAST(name AS TEXT), generation FROM objects")?;
        let all: BTreeMap<String, i64> =
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|(name, _)| name.starts_with(prefix)).collect())
    }

    /// The whole table of tracks but for what the upload itself decides, in order.
    pub fn tracks_without_upload(&self) -> Vec<String> {
        self.query("SELECT * EXCLUDE (request_id, uploaded_at) FROM tracks ORDER BY frame_index, track_id")
    }
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    command: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self::start_into(command, Stdio::piped())
    }

    /// With another standard output than one that is read here.
    pub fn start_into(command: &mut Command, stdout: Stdio) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().map(drain);
        let stderr = drain(child.stderr.take().unwrap());
        Self { child, command: format!("{command:?}"), stdout, stderr: Some(stderr) }
    }

    /// Waits until something can be seen; false where the command ended without it.
    pub fn until(&mut self, mut seen: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        loop {
            if seen() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return seen();
            }
            assert!(started.elapsed() < HANGS_AFTER, "never seen: {}", self.command);
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Sends a signal by name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is dead.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end; a command that hangs is killed and fails the test.
    pub fn end(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if started.elapsed() > HANGS_AFTER => {
                    self.child.kill().unwrap();
                    let stderr = self.stderr.take().unwrap().join().unwrap();
                    panic!("{} hangs; it said: {stderr}", self.command);
                }
                None => std::thread::sleep(POLL_EVERY),
            }
        };
        let stdout = self.stdout.take().map(|pipe| pipe.join().unwrap()).unwrap_or_default();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { code: status.code(), stdout, stderr, command: self.command.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A command that ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    command: String,
}

impl Ended {
    #[track_caller]
    pub fn expect_success(self) -> Self {
        self.expect_code(0)
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\nstdout: {}\nstderr: {}", self.command, self.stdout, self.stderr);
        self
    }

    /// One JSON value a line of standard output, and nothing else.
    #[track_caller]
    pub fn json(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The lines of standard error that the command itself addresses to its user as errors.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("trackdrop: ")).collect()
    }
}

/// A small disk of its own, gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where the test may not mount anything.
    pub fn mount(at: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Changes how it is mounted: `size=...`, or `ro`.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}
