//! `trackdrop crops`: the best crop of each object, as files or as one picture.

use crate::{args::CropsArguments, keys, output::line, which_request};
use anyhow::{Context, bail};
use std::{fs, path::Path};
use trackdrop_media::{MOST_ON_A_SHEET, SheetPicture, contact_sheet};
use trackdrop_pipeline::names::ResultFile;
use trackdrop_tables::crops::{self, Crop};

/// Characters of a class that are in a file's name.
const LONGEST_CLASS: usize = 40;

pub(crate) async fn crops(data: &Path, arguments: &CropsArguments) -> anyhow::Result<()> {
    let (cloud, manifest) = which_request::stored(data, &arguments.request, arguments.google).await?;
    let request = &manifest.request_id;
    let object = ResultFile::Crops.object(request);
    let file = match cloud.find(&object).await? {
        Some(_) => cloud.storage.fetch(&object, None).await?.1,
        None if !manifest.settings.crops && arguments.google => bail!(
            "{request} has no crops, because they were not requested. Give new uploads the request setting `crops` (docs/how-to/uploads.md)"
        ),
        None if !manifest.settings.crops => bail!(
            "{request} has no crops, because they were not requested. `trackdrop retrack {request} --crops` makes a version with them; no detector runs"
        ),
        None => bail!("{request} has no crops: it is {}", manifest.state.as_str()),
    };
    let all = crops::read(file.path())?;
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).with_context(|| format!("{folder:?} can't be made"))?;
        for crop in &all {
            let path = folder.join(file_name(crop));
            fs::write(&path, &crop.jpeg).with_context(|| format!("{path:?} can't be written"))?;
        }
    }
    if let Some(path) = &arguments.sheet {
        let texts: Vec<_> =
            all.iter().map(|crop| format!("#{} {} {:.1}s", crop.track_id, crop.class_name, crop.time_s)).collect();
        let pictures: Vec<_> =
            all.iter().zip(&texts).map(|(crop, text)| SheetPicture { jpeg: &crop.jpeg, text }).collect();
        if pictures.len() > MOST_ON_A_SHEET {
            eprintln!(
                "trackdrop: the sheet has the first {MOST_ON_A_SHEET} of {} crops: a picture can't be larger",
                all.len()
            );
        }
        contact_sheet(&pictures)?.write_still(path)?;
    }
    if arguments.json {
        for crop in &all {
            let told = serde_json::json!({
                "track_id": crop.track_id, "class_name": &*crop.class_name, "frame_index": crop.frame_index, "pts": crop.pts,
                "time_s": crop.time_s, "score": crop.score, "quality": crop.quality, "bbox": crop.bbox,
                "width": crop.width, "height": crop.height, "bytes": crop.jpeg.len(), "file": file_name(crop),
            });
            line!("{}", keys::of_part(&manifest, told)?);
        }
        return Ok(());
    }
    let bytes: usize = all.iter().map(|crop| crop.jpeg.len()).sum();
    line!("{request}: {} crops, {:.0} kB", all.len(), bytes as f64 / 1e3);
    for path in arguments.out.iter().chain(&arguments.sheet) {
        line!("  {}", path.display());
    }
    Ok(())
}

/// `000007-person.jpg`. The name of a class is data, and must not act as a path.
fn file_name(crop: &Crop) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || letter == '-' { letter } else { '_' };
    let class: String = crop.class_name.chars().take(LONGEST_CLASS).map(plain).collect();
    format!("{:06}-{class}.jpg", crop.track_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_class_is_no_path() {
        let crop = Crop {
            track_id: 7,
            class_id: 0,
            class_name: "../traffic light".into(),
            frame_index: 0,
            pts: 0,
            time_s: 0.0,
            score: 0.0,
            quality: 0.0,
            bbox: [0.0; 4],
            width: 2,
            height: 2,
            jpeg: vec![],
        };
        assert_eq!(file_name(&crop), "000007-___traffic_light.jpg");
    }
}
