//! Three things that move over grey, as they are stored in each orientation, and a detector that finds them.

use std::path::{Path, PathBuf};

/// Three things of different colours that move over grey, each in its way: nothing of it looks the same turned or mirrored.
pub const SCENE: &str = "-filter_complex color=0x808080:s=SIZE:r=10:d=2,format=yuv444p[grey];color=red:s=40x22:r=10:d=2[red];\
                     color=lime:s=18x30:r=10:d=2[green];color=blue:s=26x26:r=10:d=2[blue];\
                     [grey][red]overlay=x=8+t*20:y=12+t*6:format=yuv444[one];\
                     [one][green]overlay=x=120-t*12:y=30+t*20:format=yuv444[two];\
                     [two][blue]overlay=x=20+t*30:y=80-t*4:format=yuv444,format=FORMATTURN";

/// A model that finds things by where their colours are. See `fixtures/make_moments.py`.
pub fn moments() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/moments.onnx")
}

/// An orientation: its name, what FFmpeg does to store an upright picture so, and the display matrix a, b, c, d.
pub const ORIENTATIONS: [(&str, &str, [i32; 4]); 8] = [
    ("0", "", [1, 0, 0, 1]),
    ("90", ",transpose=cclock", [0, 1, -1, 0]),
    ("180", ",hflip,vflip", [-1, 0, 0, -1]),
    ("270", ",transpose=clock", [0, -1, 1, 0]),
    ("0-mirrored", ",hflip", [-1, 0, 0, 1]),
    ("90-mirrored", ",transpose=cclock,hflip", [0, -1, -1, 0]),
    ("180-mirrored", ",vflip", [1, 0, 0, -1]),
    ("270-mirrored", ",transpose=clock,hflip", [0, 1, 1, 0]),
];

/// Writes a display matrix into an MP4 or MOV whose only track is the video.
pub fn set_matrix(file: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = std::fs::read(file).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    let cells = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30];
    for (cell, place) in cells.iter().zip(bytes[header + 44..].chunks_mut(4)) {
        place.copy_from_slice(&cell.to_be_bytes());
    }
    std::fs::write(file, bytes).unwrap();
}
