//! Checks a scene. Every error has its place, and says how to correct it.

use crate::{
    geometry::{double_area, meet},
    homography::Homography,
    scene::{Fault, Point, Scene, SceneError},
};
use std::collections::BTreeSet;

/// The class names of models that were trained on COCO.
const COCO: &str = include_str!("coco.txt");
/// Largest number of corners of a zone, or of points of a line.
const MOST_POINTS: usize = 500;
/// Largest number of zones and lines together.
const MOST_ELEMENTS: usize = 500;

/// Largest length of a scene's text.
const LONGEST_BYTES: usize = 1 << 20;

impl Scene {
    /// Reads a scene from YAML or JSON, and checks it.
    ///
    /// # Errors
    /// [`SceneError::Malformed`], with line and column, if the text is not a scene. [`SceneError::Refused`] with every
    /// error.
    pub fn parse(text: &str) -> Result<Self, SceneError> {
        if text.len() > LONGEST_BYTES {
            let what = format!("the scene is {} bytes; the maximum is {LONGEST_BYTES}", text.len());
            return Err(SceneError::Malformed(what));
        }
        // The caller that opened the file can show the text. The first line of the message says what is wrong, and
        // where.
        let scene: Self = serde_saphyr::from_str(text)
            .map_err(|error| SceneError::Malformed(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
        let faults = faults(&scene);
        if faults.is_empty() { Ok(scene) } else { Err(SceneError::Refused(faults)) }
    }
}

/// All errors.
fn faults(scene: &Scene) -> Vec<Fault> {
    let mut checks = Checks { scene, faults: Vec::new() };
    checks.head();
    checks.numbers();
    checks.elements();
    checks.classes();
    checks.calibration();
    checks.faults
}

struct Checks<'a> {
    scene: &'a Scene,
    faults: Vec<Fault>,
}

impl Checks<'_> {
    fn fault(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.faults.push(Fault { place: place.into(), what: what.into() });
    }

    fn name(&mut self, place: &str, name: &str) {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            self.fault(place, format!("{name:?} is not a name: use 1 to 64 letters, digits, _ and -"));
        }
    }

    fn head(&mut self) {
        self.name("name", &self.scene.name);
        if self.scene.videos.is_empty() {
            self.fault("videos", "there is no pattern: give one such as \"gate/*\", or \"*\" for every video");
        }
        for (index, pattern) in self.scene.videos.iter().enumerate() {
            let place = format!("videos, pattern {}", index + 1);
            match pattern.len() {
                0 => self.fault(place, "it is empty: give the upload's name, with * for any text"),
                1..=1024 => {}
                bytes => self.fault(place, format!("it has {bytes} bytes, and a name has at most 1024")),
            }
        }
        let [width, height] = [self.scene.picture.width_px, self.scene.picture.height_px];
        if !(1..=65_536).contains(&width) || !(1..=65_536).contains(&height) {
            self.fault("picture", format!("{width}x{height} is not a size of a picture: give 1 to 65536 pixels"));
        }
        if self.scene.zones.is_empty()
            && self.scene.lines.is_empty()
            && self.scene.encounter.is_none()
            && self.scene.calibration.is_none()
            && self.scene.cell_px.is_none()
        {
            self.fault("zones, lines", "there is none: draw a zone or a line");
        }
        let count = self.scene.zones.len() + self.scene.lines.len();
        if count > MOST_ELEMENTS {
            self.fault("zones, lines", format!("there are {count}; the maximum is {MOST_ELEMENTS}: make two scenes"));
        }
    }

    fn number(&mut self, place: &str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.fault(place, format!("{value} is out of range: give {least} to {most}"));
        }
    }

    fn numbers(&mut self) {
        let scene = self.scene;
        self.number("hysteresis", scene.hysteresis, 0.0, 10.0);
        self.number("absence_s", scene.absence_s, 0.0, 86_400.0);
        self.number("settle_s", scene.settle_s, 0.0, 86_400.0);
        self.number("interval_s", scene.interval_s, 0.001, 86_400.0);
        self.number("cell_px", scene.cell_px(), 1.0, 65_536.0);
        if let Some(encounter) = scene.encounter {
            self.number("encounter.distance", encounter.distance, 1e-6, 1e6);
            self.number("encounter.seconds", encounter.seconds, 0.0, 86_400.0);
        }
        let classes =
            scene.reference_by_class.iter().map(|(class, point)| (format!("reference_by_class.{class}"), *point));
        for (place, [x, y]) in std::iter::once(("reference".to_owned(), scene.reference)).chain(classes) {
            if !(0.0..=1.0).contains(&x) || !(0.0..=1.0).contains(&y) {
                let what = format!("[{x}, {y}] is not in the box: give [0, 0] (upper left) to [1, 1] (lower right)");
                self.fault(place, what);
            }
        }
    }

    fn elements(&mut self) {
        let scene = self.scene;
        let mut names = BTreeSet::new();
        for zone in &scene.zones {
            let place = format!("zone {:?}", zone.name);
            self.name(&place, &zone.name);
            if !names.insert(zone.name.as_str()) {
                self.fault(&place, "another zone or line has this name: rename one");
            }
            if self.points(&place, &zone.points, 3, "three corners or more")
                && self.simple(&place, &zone.points, true)
                && double_area(&zone.points) < 2.0
            {
                self.fault(&place, "its area is less than one pixel: move its corners apart");
            }
        }
        for line in &scene.lines {
            let place = format!("line {:?}", line.name);
            self.name(&place, &line.name);
            self.name(&format!("{place}, in"), &line.in_name);
            self.name(&format!("{place}, out"), &line.out_name);
            if line.in_name == line.out_name {
                self.fault(
                    &place,
                    format!("both directions are called {:?}: give `in` and `out` two names", line.in_name),
                );
            }
            if !names.insert(line.name.as_str()) {
                self.fault(&place, "another zone or line has this name: rename one");
            }
            if self.points(&place, &line.points, 2, "two points or more") {
                self.simple(&place, &line.points, false);
            }
        }
    }

    /// Checks that there are enough points, that all are in the picture, and that no two neighbours are equal.
    fn points(&mut self, place: &str, points: &[Point], least: usize, need: &str) -> bool {
        let before = self.faults.len();
        if points.len() < least {
            self.fault(place, format!("it has {} points: give {need}", points.len()));
        }
        if points.len() > MOST_POINTS {
            self.fault(place, format!("it has {} points; the maximum is {MOST_POINTS}: simplify it", points.len()));
        }
        let [width, height] = [self.scene.picture.width_px, self.scene.picture.height_px];
        for (index, [x, y]) in points.iter().enumerate() {
            let inside = (0.0..=f64::from(width)).contains(x) && (0.0..=f64::from(height)).contains(y);
            if !inside {
                let what = format!(
                    "[{x}, {y}] is outside of the picture of {width}x{height}: move it inside, or correct `picture`"
                );
                self.fault(format!("{place}, point {}", index + 1), what);
            }
        }
        for (index, pair) in points.windows(2).enumerate() {
            if pair[0] == pair[1] {
                self.fault(format!("{place}, point {}", index + 2), "it is the same as the one before: remove it");
            }
        }
        if least == 3 && points.len() > 1 && points.first() == points.last() {
            let what = "it is the same as the first: remove it, a zone closes by itself";
            self.fault(format!("{place}, point {}", points.len()), what);
        }
        self.faults.len() == before
    }

    /// Checks that no two edges meet, except neighbours at their common point.
    fn simple(&mut self, place: &str, points: &[Point], closed: bool) -> bool {
        let edges: Vec<(Point, Point)> = match closed {
            true => points.iter().copied().zip(points.iter().copied().cycle().skip(1)).collect(),
            false => points.windows(2).map(|pair| (pair[0], pair[1])).collect(),
        };
        for (i, &(a, b)) in edges.iter().enumerate() {
            for (j, &(c, d)) in edges.iter().enumerate().skip(i + 1) {
                let crossed = if b == c {
                    turns_back(a, b, d)
                } else if closed && i == 0 && j + 1 == edges.len() {
                    turns_back(c, d, b)
                } else {
                    meet(a, b, c, d)
                };
                if crossed {
                    let end = |edge: usize| if closed { (edge + 1) % points.len() + 1 } else { edge + 2 };
                    let what = format!(
                        "the edge from point {} to {} meets the one from {} to {}: put the points in the order along the line or border",
                        i + 1,
                        end(i),
                        j + 1,
                        end(j)
                    );
                    self.fault(place, what);
                    return false;
                }
            }
        }
        true
    }

    fn classes(&mut self) {
        let names: Vec<&str> = match &self.scene.classes {
            Some(classes) => classes.iter().map(String::as_str).collect(),
            None => COCO.lines().collect(),
        };
        for class in self.scene.reference_by_class.keys().filter(|class| !names.contains(&class.as_str())) {
            let near = names.iter().min_by_key(|name| distance(name, class));
            let hint = near.map(|name| format!(" (the nearest name is {name:?})")).unwrap_or_default();
            let what = format!("no class has this name{hint}: correct it, or list the model's names under `classes`");
            self.fault(format!("reference_by_class.{class}"), what);
        }
    }

    fn calibration(&mut self) {
        let Some(pairs) = &self.scene.calibration else { return };
        let numbers = pairs.iter().flat_map(|pair| [pair.pixel, pair.metre]).flatten();
        if numbers.clone().any(|number| !number.is_finite() || number.abs() > 1e9) {
            self.fault("calibration", "a coordinate is no number below 1e9: mend it");
        } else if let Err(error) = Homography::of(pairs) {
            self.fault("calibration", error.to_string());
        }
    }
}

/// Whether the path from a over b to c returns on itself.
fn turns_back(a: Point, b: Point, c: Point) -> bool {
    let along = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]);
    crate::geometry::side(a, b, c) == 0.0 && along < 0.0
}

/// How many letters differ between two names (edit distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for j in 0..b.len() {
            let replaced = before + usize::from(b[j] != letter);
            before = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}
