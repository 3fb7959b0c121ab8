//! Crops of a picture: small, and of what is in the box.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::{path::PathBuf, process::Command};
use tempfile::TempDir;
use trackdrop_media::{Canvas, Limits, MAX_CROP_BYTES, SheetPicture, contact_sheet, read_still};

/// A canvas with the picture that FFmpeg's filter makes.
fn canvas(folder: &TempDir, filter: &str) -> Canvas {
    let path = folder.path().join("picture.png");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", filter, "-frames:v", "1"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    Canvas::of_still(&read_still(&path, &Limits::default()).unwrap()).unwrap()
}

fn read(folder: &TempDir, jpeg: &[u8]) -> Canvas {
    let path: PathBuf = folder.path().join("crop.jpg");
    std::fs::write(&path, jpeg).unwrap();
    Canvas::of_still(&read_still(&path, &Limits::default()).unwrap()).unwrap()
}

#[test]
fn a_crop_of_pure_noise_has_at_most_40_kb() {
    let folder = tempfile::tempdir().unwrap();
    let noise = canvas(&folder, "nullsrc=s=1000x800,geq=lum='random(1)*255':cb='random(2)*255':cr='random(3)*255'");
    for bbox in [[0.0, 0.0, 1000.0, 800.0], [-100.0, -5.0, 2000.0, 700.0], [500.0, 300.0, 900.0, 700.0]] {
        let crop = noise.crop(bbox).unwrap().unwrap();
        assert!(crop.jpeg.len() <= MAX_CROP_BYTES, "{}", crop.jpeg.len());
        assert!(crop.width.max(crop.height) <= 320 && crop.width.min(crop.height) >= 100, "{crop:?}");
    }
    // Small ones are not enlarged; what is not in the picture has none.
    let small = noise.crop([10.0, 10.0, 30.0, 50.0]).unwrap().unwrap();
    assert_eq!((small.width, small.height), (24, 44));
    assert_eq!(noise.crop([-50.0, 0.0, -10.0, 20.0]).unwrap(), None);
    assert_eq!(noise.crop([f32::NAN, 0.0, 1.0, 20.0]).unwrap(), None);
}

#[test]
fn a_crop_is_what_is_in_the_box_in_its_own_colours() {
    let folder = tempfile::tempdir().unwrap();
    let red = canvas(&folder, "color=gray:s=400x300,drawbox=x=100:y=60:w=80:h=120:color=red:t=fill");
    let crop = red.crop([106.0, 66.0, 174.0, 174.0]).unwrap().unwrap();
    let seen = read(&folder, &crop.jpeg);
    let middle = |canvas: &Canvas, plane: usize, (x, y): (usize, usize)| {
        let (bytes, stride) = canvas.plane(plane);
        let half = usize::from(plane > 0);
        bytes[(y >> half) * stride + (x >> half)]
    };
    let at = (crop.width as usize / 2, crop.height as usize / 2);
    for plane in 0..3 {
        let (found, expected) = (middle(&seen, plane, at), middle(&red, plane, (140, 120)));
        assert!(found.abs_diff(expected) <= 4, "plane {plane}: {found} for {expected}");
    }
}

#[test]
fn a_sharp_view_is_told_from_a_blurred_one_and_a_whole_one_from_one_that_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let [sharp, soft] = ["", ",gblur=sigma=6"].map(|then| canvas(&folder, &format!("testsrc2=s=640x480{then}")));
    let bbox = [100.0, 100.0, 300.0, 300.0];
    let (sharp_view, soft_view) = (sharp.view(bbox).unwrap(), soft.view(bbox).unwrap());
    assert!(sharp_view.sharpness > 2.0 * soft_view.sharpness, "{sharp_view:?} {soft_view:?}");
    assert!(!sharp_view.is_cut && sharp.view([-5.0, 100.0, 300.0, 300.0]).unwrap().is_cut);
    assert_eq!(sharp.view([700.0, 0.0, 800.0, 100.0]), None);
}

#[test]
fn a_sheet_has_all_pictures_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let picture = canvas(&folder, "testsrc2=s=640x480");
    let crop = picture.crop([100.0, 100.0, 300.0, 400.0]).unwrap().unwrap();
    let pictures = vec![SheetPicture { jpeg: &crop.jpeg, text: "#1 person 0.5s" }; 5];
    let sheet = contact_sheet(&pictures).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (3 * 164 + 4, 2 * 184 + 4));
    let lit = |left: usize, top: usize| {
        let (luma, stride) = sheet.plane(0);
        (top..top + 160).any(|y| luma[y * stride + left..][..160].iter().any(|&sample| sample > 100))
    };
    assert!(lit(4, 4) && lit(4 + 164, 4 + 184) && !lit(4 + 2 * 164, 4 + 184), "five of six places");
    assert_eq!(contact_sheet(&[]).unwrap().width(), 168);
}
