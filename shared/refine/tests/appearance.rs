//! Links by what objects look like, on scenes whose truth is known.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use half::f16;
use proptest::prelude::*;
use std::collections::HashSet;
use trackdrop_refine::{Appearances, Descriptor, Link, Picture, Refine, Row, Smooth, Video, link_seen};

const VIDEO: Video = Video { frame_rate: 10.0, frame_count: 60, size_px: Some([4000.0, 2000.0]) };

/// Who is where, and the colour that is seen there.
#[derive(Debug)]
struct Scene {
    rows: Vec<Row>,
    appearances: Appearances,
}

impl Scene {
    /// 24 people in lanes of their own, each of a colour: enough for the video to say what colours mean.
    fn of_passers_by() -> Self {
        Self::of_passers_by_seen(Appearances::default())
    }

    /// The same where a network gives a vector for each.
    fn of_passers_by_in_vectors() -> Self {
        Self::of_passers_by_seen(Appearances::of_vectors())
    }

    fn of_passers_by_seen(appearances: Appearances) -> Self {
        let mut scene = Self { rows: Vec::new(), appearances };
        for person in 0..24 {
            let y = 150.0 + 70.0 * f64::from(person);
            for frame in 0..60 {
                let shaken = |by: u32| f64::from((frame * by + person * 13) % 11) - 5.0;
                let place = [40.0 * f64::from(frame) + shaken(7), y + shaken(5)];
                scene.add(frame, 100 + u64::from(person), place, person * 37);
            }
        }
        scene
    }

    /// A box of 40 x 60 px of a colour out of 256 around the circle, which is lit a little differently in each frame.
    fn add(&mut self, frame: u32, id: u64, [x, y]: [f64; 2], color: u32) {
        let (red, green, blue) = rgb(color, frame);
        let planes = [&[red; 16][..], &[green; 16], &[blue; 16]];
        let descriptor =
            Descriptor::of(&Picture { planes, stride_bytes: 4, width: 4, height: 4 }, [0.0, 0.0, 4.0, 4.0]);
        // The other one of the two ways refuses it.
        let appearance =
            self.appearances.add(descriptor).or_else(|| self.appearances.add_stored(&vector(color, frame)));
        self.rows.push(Row { appearance, ..Row::new(frame, id, [x, y, x + 40.0, y + 60.0]) });
    }

    fn sorted(mut self) -> Self {
        self.rows.sort_by_key(|row| (row.frame, row.id));
        self
    }

    fn linked(&self) -> Vec<Row> {
        link_seen(self.rows.clone(), &self.appearances, &VIDEO, &Link::default()).rows
    }

    /// The same where nobody knows what anybody looks like.
    fn linked_blindly(&self) -> Vec<Row> {
        link_seen(self.rows.clone(), &Appearances::default(), &VIDEO, &Link::default()).rows
    }
}

/// A direction for each hue, of any length, that wavers by the frame.
fn vector(color: u32, frame: u32) -> Vec<u8> {
    let angle = f64::from(color) * std::f64::consts::TAU / 256.0 + 0.05 * f64::from(frame * 7 % 5);
    let length = 1.0 + f64::from(frame % 3);
    let numbers = [angle.cos(), angle.sin(), 0.1, 0.02 * f64::from(frame * 5 % 7)];
    numbers.iter().flat_map(|number| f16::from_f64(length * number).to_le_bytes()).collect()
}

/// A hue of 256, more or less bright by the frame: brightness moves a pixel to another bin now and then.
fn rgb(color: u32, frame: u32) -> (u8, u8, u8) {
    let at = |shift: u32| ((color + shift) % 256).abs_diff(128) as u8;
    let dim = |value: u8| (u32::from(value) * (20 - frame * 7 % 5) / 10).min(255) as u8;
    (dim(at(0)), dim(at(85)), dim(at(170)))
}

/// The ids below 100 in a frame, by place from left to right.
fn ids(rows: &[Row], frame: u32) -> Vec<u64> {
    let mut of_frame: Vec<&Row> = rows.iter().filter(|row| row.frame == frame && row.bbox[1] < 100.0).collect();
    of_frame.sort_by(|a, b| a.bbox[0].total_cmp(&b.bbox[0]));
    of_frame.iter().map(|row| row.id).collect()
}

#[test]
fn which_of_two_it_was_who_went_in_is_told_by_the_colour() {
    which_of_two_is_told(Scene::of_passers_by());
}

#[test]
fn which_of_two_it_was_who_went_in_is_told_by_a_network_s_vectors() {
    which_of_two_is_told(Scene::of_passers_by_in_vectors());
}

fn which_of_two_is_told(mut scene: Scene) {
    for frame in 0..60 {
        let along = 10.0 * f64::from(frame);
        match frame {
            0..20 => scene.add(frame, 1, [along, 10.0], 0),
            // Where the first would be, another; and the first a little further on.
            36.. => {
                scene.add(frame, 2, [along - 8.0, 10.0], 128);
                scene.add(frame, 3, [along + 22.0, 10.0], 0);
            }
            _ => {}
        }
    }
    let scene = scene.sorted();
    assert_eq!(ids(&scene.linked_blindly(), 50), [1, 3]);
    assert_eq!(ids(&scene.linked(), 50), [2, 1]);
    let passers_by = |rows: &[Row]| rows.iter().filter(|row| (100..124).contains(&row.id)).count();
    assert_eq!(passers_by(&scene.linked()), passers_by(&scene.rows), "they are who they were");
}

#[test]
fn two_who_swapped_while_they_overlapped_are_put_right() {
    two_who_swapped_are_put_right(Scene::of_passers_by());
}

#[test]
fn two_who_swapped_while_they_overlapped_are_put_right_by_vectors() {
    two_who_swapped_are_put_right(Scene::of_passers_by_in_vectors());
}

fn two_who_swapped_are_put_right(mut scene: Scene) {
    for frame in 0..60 {
        let along = 5.0 * f64::from(frame);
        // From frame 30 on each has the other's id.
        let (to_right, to_left) = if frame < 30 { (1, 2) } else { (2, 1) };
        scene.add(frame, to_right, [along, 10.0], 0);
        scene.add(frame, to_left, [300.0 - along, 14.0], 128);
    }
    let scene = scene.sorted();
    let ends = |rows: &[Row]| (ids(rows, 0), ids(rows, 59));
    assert_eq!(ends(&scene.linked_blindly()), (vec![1, 2], vec![1, 2]), "without a gap nothing is cut");
    assert_eq!(ends(&scene.linked()), (vec![1, 2], vec![2, 1]));
}

#[test]
fn two_who_overlapped_and_did_not_swap_stay_who_they_are() {
    let mut scene = Scene::of_passers_by();
    for frame in 0..60 {
        let along = 5.0 * f64::from(frame);
        scene.add(frame, 1, [along, 10.0], 0);
        scene.add(frame, 2, [300.0 - along, 14.0], 128);
    }
    let scene = scene.sorted();
    assert_eq!(scene.linked(), scene.rows);
}

#[test]
fn a_video_that_says_too_little_of_colours_is_linked_as_if_there_were_none() {
    let mut scene = Scene { rows: Vec::new(), appearances: Appearances::default() };
    for frame in (0..20).chain(26..50) {
        let color = if frame < 20 { 0 } else { 128 };
        scene.add(frame, 1, [10.0 * f64::from(frame), 10.0], color);
    }
    assert_eq!(scene.linked(), scene.linked_blindly());
    // Where all look alike, too.
    let mut alike = Scene::of_passers_by();
    let same = alike.appearances.add(Descriptor([7; 64]));
    alike.rows.iter_mut().for_each(|row| row.appearance = same);
    let alike = alike.sorted();
    assert_eq!(alike.linked(), alike.linked_blindly());
}

prop_compose! {
    /// 26 people on 6 lanes who wander, overlap and are missed now and then, in colours that waver.
    fn any_scene()(
        missed in prop::collection::hash_set((0_u32..60, 0_u64..26), 0..60),
        places in prop::collection::vec((0.0..900.0, -12.0..12.0, 0_u32..256), 26),
        wavers in prop::collection::vec(0_u32..40, 60),
    ) -> Scene {
        let mut scene = Scene { rows: Vec::new(), appearances: Appearances::default() };
        for frame in 0..60 {
            for (&(x, speed, color), id) in places.iter().zip(0_u64..).filter(|(_, id)| !missed.contains(&(frame, *id))) {
                let place = [x + speed * f64::from(frame), 100.0 + 25.0 * (id % 6) as f64];
                scene.add(frame, id + 1, place, color + wavers[(frame as usize + id as usize) % wavers.len()]);
            }
        }
        scene.sorted()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_id_is_twice_in_a_frame_no_box_moves_and_the_order_within_frames_has_no_effect(scene in any_scene()) {
        let linked = scene.linked();
        let mut seen = HashSet::new();
        prop_assert!(linked.iter().all(|row| seen.insert((row.frame, row.id))), "an id is twice in a frame");
        for (is, was) in linked.iter().zip(&scene.rows) {
            prop_assert_eq!(Row { id: was.id, ..*is }, *was);
        }
        let all = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
        let refined = |rows: Vec<Row>| {
            let mut rows = all.apply_seen(rows, &[], &scene.appearances, &VIDEO).rows;
            rows.sort_by_key(|row| (row.frame, row.id));
            rows
        };
        let mut turned = scene.rows.clone();
        turned.reverse();
        turned.sort_by_key(|row| row.frame);
        prop_assert_eq!(refined(turned), refined(scene.rows.clone()));
    }
}
