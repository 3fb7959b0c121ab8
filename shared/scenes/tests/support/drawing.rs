//! Pictures for docs/analytics.md: scenes, tracks, and what the SQL says of them.

use super::At;
use std::{fmt::Write, path::PathBuf};
use trackdrop_scenes::Scene;

/// The colour of tracks.
pub(crate) const INK: &str = "#264653";
/// The colour of crossings, and of what else is counted at points.
pub(crate) const RED: &str = "#d00000";

/// A picture of 200 x 100, as SVG.
pub(crate) struct Drawing(String);

impl Drawing {
    /// The zones and lines of a scene.
    pub(crate) fn of(scene: &Scene) -> Self {
        let mut drawing = Self(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 200 100\" width=\"600\" font-family=\"sans-serif\" font-size=\"6\">\n\
             <rect width=\"200\" height=\"100\" fill=\"#f4f1ea\"/>\n"
                .to_owned(),
        );
        for zone in &scene.zones {
            let points = path(zone.points.iter().map(|point| (point[0], point[1])));
            let [x, y] = zone.points[0];
            drawing.add(format!(
                "<polygon points=\"{points}\" fill=\"#2a9d8f\" fill-opacity=\"0.25\" stroke=\"#2a9d8f\"/>"
            ));
            drawing.add(format!("<text x=\"{}\" y=\"{}\">{}</text>", x + 2.0, y + 8.0, zone.name));
        }
        for line in &scene.lines {
            let points = path(line.points.iter().map(|point| (point[0], point[1])));
            // Within the hysteresis of boxes that are 20 high.
            let wide = 2.0 * scene.hysteresis * 20.0;
            drawing.add(format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"#e76f51\" stroke-opacity=\"0.25\" stroke-width=\"{wide}\" stroke-linecap=\"round\"/>"));
            drawing.add(format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"#e76f51\"/>"));
        }
        drawing
    }

    /// An element of its own.
    pub(crate) fn add(&mut self, element: String) {
        writeln!(self.0, "{element}").unwrap();
    }

    /// A track: its positions, the way between them, and a ring at the first.
    pub(crate) fn track(&mut self, of: &[&At]) {
        let points = path(of.iter().map(|at| (f64::from(at.x), f64::from(at.y))));
        self.add(format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{INK}\" stroke-width=\"0.6\"/>"));
        for at in of {
            self.add(format!("<circle cx=\"{}\" cy=\"{}\" r=\"1.2\" fill=\"{INK}\"/>", at.x, at.y));
        }
        let (x, y) = (of[0].x, of[0].y);
        self.add(format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.2\" fill=\"none\" stroke=\"{INK}\" stroke-width=\"0.5\"/>"
        ));
    }

    /// Words.
    pub(crate) fn words(&mut self, x: f64, y: f64, colour: &str, words: &str) {
        self.add(format!("<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{words}</text>"));
    }

    /// Fails where the picture of the docs is another one; `UPDATE_PICTURES=1` writes it.
    pub(crate) fn assert_current(self, name: &str) {
        let path =
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/analytics")).join(format!("{name}.svg"));
        let drawn = self.0 + "</svg>\n";
        if std::env::var_os("UPDATE_PICTURES").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &drawn).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), drawn, "UPDATE_PICTURES=1 writes {path:?}");
    }
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
}

/// The tracks of rows, by number.
pub(crate) fn tracks(rows: &[At]) -> Vec<(i64, Vec<&At>)> {
    let mut numbers: Vec<i64> = rows.iter().map(|at| at.track).collect();
    numbers.dedup();
    numbers.into_iter().map(|track| (track, rows.iter().filter(|at| at.track == track).collect())).collect()
}
