//! How long one hour of 30 fps video with 50 objects per frame takes to read and to evaluate.
//!
//!     cargo run --release -p trackdrop-eval --example one_hour

use std::{error::Error, fmt::Write, path::Path, time::Instant};

use trackdrop_eval::{CompareOptions, Options, Sequence, compare, evaluate, parse};

const FRAMES: u32 = 108_000;
const OBJECTS: u32 = 50;

/// Frames after which another object takes the place of one that leaves.
const STAY: u32 = 900;

fn main() -> Result<(), Box<dyn Error>> {
    let (truth, tracks) = (scene(0), scene(1));
    println!("{} + {} MB of text", truth.len() / 1_000_000, tracks.len() / 1_000_000);
    let truth = timed("read ground truth", || parse(truth.as_bytes(), Path::new("gt.txt")))?;
    let tracks: Sequence = timed("read tracks", || parse(tracks.as_bytes(), Path::new("tracks.txt")))?;
    let evaluation = timed("evaluate", || evaluate(&truth, &tracks, &Options::default()));
    timed("compare", || compare(&truth, &tracks, &CompareOptions::default()));
    print!("{evaluation}");
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}

/// Objects on orbits that overlap; `noise` 0 is the truth, others jitter, miss one row in 16 and change ids now and then.
fn scene(noise: u32) -> String {
    let mut text = String::new();
    for frame in 1..=FRAMES {
        for object in 0..OBJECTS {
            let random =
                (frame.wrapping_mul(2_654_435_761) ^ object.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 16;
            if noise > 0 && random % 16 == 0 {
                continue;
            }
            let angle = f64::from(frame) / (100.0 + f64::from(object)) + f64::from(object);
            let radius = 100.0 + 8.0 * f64::from(object);
            let jitter = f64::from(noise) * f64::from(random % 9);
            let (x, y) = (900.0 + radius * angle.cos() + jitter, 500.0 + radius * angle.sin() - jitter);
            let stay = STAY - noise * 7 * (object % 50);
            let id = (frame + object * 17) / stay * OBJECTS + object;
            // Writing to a string can't fail.
            writeln!(text, "{frame},{id},{x:.2},{y:.2},60,150,1,-1,-1,-1").ok();
        }
    }
    text
}
