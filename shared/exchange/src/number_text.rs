//! Numbers as text, without an allocation.

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that reads back as the same number of the same type: `1`, `0.1`, `-2.5e-7`.
pub(crate) fn push_float(out: &mut Vec<u8>, value: impl zmij::Float) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(value).as_bytes();
    out.extend_from_slice(text.strip_suffix(b".0").unwrap_or(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_and_read_back() {
        for (value, expected) in
            [(1.0, "1"), (0.1, "0.1"), (-0.0, "-0"), (1261.284779655506, "1261.284779655506"), (1e21, "1e+21")]
        {
            let mut out = Vec::new();
            push_float(&mut out, value);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, expected);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), f64::to_bits(value));
        }
        let mut out = Vec::new();
        push_float(&mut out, 0.1_f32);
        assert_eq!(out, b"0.1");
    }
}
