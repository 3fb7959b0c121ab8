//! A scene as rows of the table `scenes`: one row for the scene, and one for each reference point, segment of a line, and
//! trapezoid of a zone.

use crate::{
    geometry::{trapezoids, x_at},
    homography::Homography,
    scene::{Line, Scene, Zone},
};
use serde_json::{Map, Value, json};

/// The share by which the first and the last segment of a line are longer than drawn. So a path exactly through the end
/// of a line crosses it.
const ENDS: f64 = 1e-9;

impl Scene {
    /// The rows, each an object with the columns that are not null.
    pub fn rows(&self) -> Vec<Map<String, Value>> {
        let mut rows = vec![self.head()];
        rows.push(self.row("reference", "", 0, json!({ "ax": self.reference[0], "ay": self.reference[1] })));
        for (class, [x, y]) in &self.reference_by_class {
            rows.push(self.row("reference", class, 0, json!({ "ax": x, "ay": y })));
        }
        self.lines.iter().for_each(|line| self.line(line, &mut rows));
        self.zones.iter().for_each(|zone| self.zone(zone, &mut rows));
        rows
    }

    /// The rows as a text with one JSON object per line. The object that the external table reads has this format.
    pub fn ndjson(&self) -> String {
        self.rows().into_iter().map(|row| format!("{}\n", Value::Object(row))).collect()
    }

    /// Reads the scene of such a text.
    ///
    /// # Errors
    /// The text has no definition of a scene, or the scene is refused.
    pub fn of_ndjson(text: &str) -> Result<Self, crate::SceneError> {
        let definition = text.lines().find_map(|line| {
            let row: Value = serde_json::from_str(line).ok()?;
            Some(row.get("definition")?.as_str()?.to_owned())
        });
        let missing = || crate::SceneError::Malformed("the object holds no scene: add the scene again".to_owned());
        Self::parse(&definition.ok_or_else(missing)?)
    }

    fn row(&self, kind: &str, name: &str, part: usize, values: Value) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("scene".into(), self.name.clone().into());
        row.insert("kind".into(), kind.into());
        row.insert("name".into(), name.into());
        row.insert("part".into(), part.into());
        if let Value::Object(values) = values {
            row.extend(values.into_iter().filter(|(_, value)| !value.is_null()));
        }
        row
    }

    fn head(&self) -> Map<String, Value> {
        let mut row = self.row(
            "scene",
            "",
            0,
            json!({
                // A scene is plain data: serialising it can't fail.
                "definition": serde_json::to_string(self).unwrap_or_default(),
                "videos": self.videos_expression(),
                "width_px": f64::from(self.picture.width_px),
                "height_px": f64::from(self.picture.height_px),
                "hysteresis": self.hysteresis,
                "absence_s": self.absence_s,
                "settle_s": self.settle_s,
                "interval_s": self.interval_s,
                "cell_px": self.cell_px(),
                "near_distance": self.encounter.map(|encounter| encounter.distance),
                "near_s": self.encounter.map(|encounter| encounter.seconds),
            }),
        );
        if let Some(Ok(map)) = self.calibration.as_deref().map(Homography::of) {
            row.insert("residual_m".into(), map.residual_m.into());
            for (i, values) in map.h.iter().enumerate() {
                for (j, value) in values.iter().enumerate() {
                    row.insert(format!("h{}{}", i + 1, j + 1), (*value).into());
                }
            }
        }
        row
    }

    fn line(&self, line: &Line, rows: &mut Vec<Map<String, Value>>) {
        let last = line.points.len().saturating_sub(2);
        for (part, pair) in line.points.windows(2).enumerate() {
            let ([ax, ay], [zx, zy]) = (pair[0], pair[1]);
            // The side of a point on the segment: that of a point infinitesimally further right, or down.
            let tie = if zy < ay || (zy == ay && zx > ax) { 1 } else { -1 };
            let values = json!({
                "in_name": line.in_name, "out_name": line.out_name, "tie": tie,
                "extend_first": if part == 0 { ENDS } else { 0.0 }, "extend_last": if part == last { ENDS } else { 0.0 },
                "lo_x": ax.min(zx), "hi_x": ax.max(zx), "lo_y": ay.min(zy), "hi_y": ay.max(zy),
                "ax": ax, "ay": ay, "zx": zx, "zy": zy,
            });
            rows.push(self.row("line", &line.name, part, values));
        }
    }

    fn zone(&self, zone: &Zone, rows: &mut Vec<Map<String, Value>>) {
        for (part, piece) in trapezoids(&zone.points).into_iter().enumerate() {
            let ends = [
                (piece.left, piece.top),
                (piece.left, piece.bottom),
                (piece.right, piece.top),
                (piece.right, piece.bottom),
            ];
            let xs = ends.map(|(edge, y)| x_at(edge, y));
            let [[ax, ay], [zx, zy]] = piece.left;
            let [[right_ax, right_ay], [right_zx, right_zy]] = piece.right;
            // The box only excludes points that are certainly outside. It is a pixel larger, so that rounding does not
            // matter.
            let values = json!({
                "lo_x": xs.into_iter().fold(f64::INFINITY, f64::min) - 1.0,
                "hi_x": xs.into_iter().fold(f64::NEG_INFINITY, f64::max) + 1.0,
                "lo_y": piece.top, "hi_y": piece.bottom,
                "ax": ax, "ay": ay, "zx": zx, "zy": zy,
                "right_ax": right_ax, "right_ay": right_ay, "right_zx": right_zx, "right_zy": right_zy,
            });
            rows.push(self.row("zone", &zone.name, part, values));
        }
    }
}
