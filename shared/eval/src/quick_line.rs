//! Parses the usual line of a file of tracks, which has only plain decimal numbers. Reading spends most of its time
//! here.
//!
//! All other lines (with spaces, exponents, quotes, empty values or missing columns) are parsed by [`Columns::row`],
//! which also says what is wrong with a line. For a usual line both return the same row.

use crate::{read::Columns, row::Row};

/// More columns than any format has.
const MOST: usize = 16;

/// From here on `f64` does not have all whole numbers.
const EXACT: u64 = 1 << 53;

/// Powers of ten that `f64` has exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The row of the first line of `text`, and the line's length with its end. None if the line is not of the usual kind.
pub(crate) fn quick_line(text: &[u8], columns: &Columns) -> Option<(Row, usize)> {
    let (mut values, mut count, mut at) = ([0.0; MOST], 0, 0);
    loop {
        let (value, end) = number(text, at)?;
        *values.get_mut(count)? = value;
        count += 1;
        at = end + 1;
        match text.get(end) {
            Some(b',') => {}
            Some(b'\n') => break,
            Some(b'\r') if text.get(at) == Some(&b'\n') => {
                at += 1;
                break;
            }
            None => {
                at = end;
                break;
            }
            _ => return None,
        }
    }
    Some((columns.row_of_numbers(&values[..count])?, at))
}

/// The decimal number from `start` on, and where it ends.
fn number(text: &[u8], start: usize) -> Option<(f64, usize)> {
    let negative = text.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let (whole, point) = digits(text, first, 0);
    let (mantissa, end, decimals) = match text.get(point) {
        Some(b'.') => {
            let (mantissa, end) = digits(text, point + 1, whole);
            (mantissa, end, end - point - 1)
        }
        _ => (whole, point, 0),
    };
    let digits = end - first - usize::from(end > point);
    if digits == 0 {
        return None;
    }
    // One exact number divided by another is rounded once, as it must be.
    let value = if digits <= 19 && mantissa <= EXACT && decimals < POWERS.len() {
        mantissa as f64 / POWERS[decimals]
    } else {
        return Some((str::from_utf8(&text[start..end]).ok()?.parse().ok()?, end));
    };
    Some((if negative { -value } else { value }, end))
}

/// Appends the digits from `at` on to a number; and where they end. More than 19 digits give no number of use.
fn digits(text: &[u8], mut at: usize, mut number: u64) -> (u64, usize) {
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (number, at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns(line: &str) -> Columns {
        Columns::from_first_line(line).unwrap().0
    }

    fn both(line: &str, columns: &Columns) -> (Option<Row>, Option<Row>) {
        let quick = quick_line(line.as_bytes(), columns).map(|(row, length)| {
            assert_eq!(length, line.len());
            row
        });
        (quick, columns.row(line).ok())
    }

    #[test]
    fn the_usual_lines_are_read_here() {
        let columns = columns("1,1,1,1,1,1,1,1,1");
        for line in
            ["1,2,912.0,484.25,97,109.5,0,7,1", "300,12,-3.5,0.1,1363.5123456789012,7e0", "3,4,1,2,3,4,-1,-1,-1,-1"]
        {
            let (quick, slow) = both(line, &columns);
            assert_eq!(quick.is_some(), !line.contains('e'), "{line}");
            assert!(quick.is_none_or(|quick| Some(quick) == slow), "{line}");
        }
        let text = b"1,2,3,4,5,6,0.5\n2,2,3,4,5,6,1\n";
        assert_eq!(quick_line(text, &columns).unwrap().1, 16);
        assert_eq!(quick_line(b"1,2,3,4,5,6\r\n2", &columns).unwrap().1, 13);
    }

    #[test]
    fn what_is_not_usual_is_left_to_the_other() {
        let columns = columns("1,1,1,1,1,1");
        for line in [
            "",
            "1",
            "1,2,3,4,5",
            "1,2,3,4,5,",
            "1,2,3,4,5,6 ",
            "1, 2,3,4,5,6",
            "1,2,3,4,5,+6",
            "1,2,3,4,5,6e1",
            "1,2,3,4,5,\"6\"",
            "0x1,2,3,4,5,6",
            "-1,2,3,4,5,6",
            "1,-1,3,4,5,6",
            "1.5,2,3,4,5,6",
            "4294967296,2,3,4,5,6",
            "1,2,3,4,5,6,",
            "1,2,3,4,5,.",
        ] {
            assert!(quick_line(line.as_bytes(), &columns).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_row_is_the_same_by_both_ways(
            whole in (0_u32..4_000, 0_u64..100_000),
            line in prop::collection::vec(prop_oneof![
                (0_u32..2_000).prop_map(|number| number.to_string()),
                (-1e4..1e4_f64).prop_map(|number| number.to_string()),
                (-1e4..1e4_f32).prop_map(|number| number.to_string()),
                any::<f64>().prop_map(|number| number.to_string()),
                any::<u64>().prop_map(|number| number.to_string()),
                "-?[0-9]{0,3}\\.[0-9]{0,3}", "-?[0-9]{1,24}\\.[0-9]{1,26}", "[-0-9.e ]{0,4}",
            ], 3..10),
            header in prop::option::of(Just("frame,id,h,w,class,y,x,score")),
        ) {
            let columns = columns(header.unwrap_or("1,1,1,1,1,1"));
            let (quick, slow) = both(&format!("{},{},{}", whole.0, whole.1, line.join(",")), &columns);
            if let Some(quick) = quick {
                let slow = slow.expect("a row that the other refuses");
                prop_assert_eq!(quick, slow);
                for (a, b) in quick.tlwh().into_iter().zip(slow.tlwh()) {
                    prop_assert_eq!(a.to_bits(), b.to_bits());
                }
            }
        }
    }
}
