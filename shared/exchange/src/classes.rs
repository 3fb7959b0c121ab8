//! The classes of the detections of a file, for tracking each class separately.

use crate::error::{ExchangeError, LineProblem};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// The names of the column that says the class, the first of which that is there counts.
const CLASS_COLUMNS: [&str; 2] = ["class_id", "class"];
const FRAME_COLUMN: &str = "frame";

/// Reads the class of each detection of a file that [`read_detections`](crate::read_detections) can read, in the order of
/// [`Frames::detections`](crate::Frames::detections): the column `class_id` or else `class` of CSV, a whole number, or that of Trackdrop's
/// `detections.parquet`.
///
/// # Errors
/// [`ExchangeError::NoClasses`]: MOTChallenge text, or CSV without that column; a class that is no whole number; or the file can't be read.
pub fn read_classes(path: &Path) -> Result<Vec<i32>, ExchangeError> {
    let read = |source| ExchangeError::Read { path: path.into(), source };
    let mut file = BufReader::new(File::open(path).map_err(read)?);
    let is_parquet = file.fill_buf().map_err(read)?.starts_with(b"PAR1");
    let mut classes = if is_parquet { of_parquet(path)? } else { of_csv(path, file)? };
    // Stable, as the detections are sorted.
    classes.sort_by_key(|&(frame, _)| frame);
    Ok(classes.into_iter().map(|(_, class)| class).collect())
}

/// Frame and class of each row, in the order of the file.
fn of_parquet(path: &Path) -> Result<Vec<(i64, i32)>, ExchangeError> {
    let rows = trackdrop_tables::detections::read_rows(path);
    let rows = rows.map_err(|source| ExchangeError::Table { path: path.into(), source })?;
    Ok(rows.iter().map(|row| (row.frame_index, row.class_id)).collect())
}

/// Frame and class of each line, in the order of the file.
fn of_csv(path: &Path, file: impl BufRead) -> Result<Vec<(i64, i32)>, ExchangeError> {
    let (mut places, mut classes) = (None, Vec::new());
    for (number, line) in (1..).zip(file.lines()) {
        let line = line.map_err(|source| ExchangeError::Read { path: path.into(), source })?;
        let line = line.trim_start_matches('\u{feff}');
        if line.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
        let Some((frame, class)) = places else {
            let place = |name: &str| fields.iter().position(|field| field.eq_ignore_ascii_case(name));
            let class = CLASS_COLUMNS.iter().find_map(|name| place(name));
            places = place(FRAME_COLUMN).zip(class);
            if places.is_none() {
                return Err(ExchangeError::NoClasses { path: path.into() });
            }
            continue;
        };
        // Some programs write every number as a float: `1.0`.
        let whole = |at: usize, column: &'static str| {
            let text = fields.get(at).copied().unwrap_or_default();
            let value =
                text.parse::<f64>().ok().filter(|value| value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX));
            let problem = || LineProblem::NotANumber { column, value: text.chars().take(SHOWN).collect() };
            value.map(|value| value as i64).ok_or_else(|| ExchangeError::Line {
                path: path.into(),
                line: number,
                problem: problem(),
            })
        };
        classes.push((whole(frame, FRAME_COLUMN)?, whole(class, CLASS_COLUMNS[0])? as i32));
    }
    Ok(classes)
}

/// How much of a refused value an error repeats.
const SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_detections;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn each_detection_has_the_class_of_its_line_whatever_the_order() {
        let csv = file(
            "\u{feff}score, Class ,frame,x1,y1,x2,y2\n0.9,2,3,30,0,40,9\n\n0.9,1.0,1,10,0,20,9\n0.8,7,3,31,0,40,9\r\n",
        );
        let frames = read_detections(csv.path()).unwrap();
        let lefts: Vec<f64> = frames.detections().iter().map(|detection| detection.x1).collect();
        assert_eq!((lefts, read_classes(csv.path()).unwrap()), (vec![10.0, 30.0, 31.0], vec![1, 2, 7]));
    }

    #[test]
    fn a_file_without_classes_is_refused_and_so_is_a_class_that_is_no_number() {
        for without in ["1,-1,0,0,9,9,0.9,-1,-1,-1\n", "frame,x1,y1,x2,y2,score\n1,0,0,9,9,0.9\n", ""] {
            let error = read_classes(file(without).path());
            match without.is_empty() {
                true => assert!(error.unwrap().is_empty()),
                false => assert!(error.unwrap_err().to_string().contains("class_id"), "{without}"),
            }
        }
        let named = file("frame,x1,y1,x2,y2,score,class_id\n1,0,0,9,9,0.9,car\n");
        let error = read_classes(named.path()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("\"car\""), "{error}");
    }
}
