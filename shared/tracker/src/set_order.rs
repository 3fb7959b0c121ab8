//! The order in which CPython iterates `set(range(n)) - set(taken)`.
//!
//! Some Python programs number objects in that order. To give the same numbers, this module follows CPython's hash
//! table (`Objects/setobject.c`). The hash of an integer is the integer. The size of the table is a power of two. A
//! place is searched linearly for some steps, and then by a perturbed sequence. At 3/5 full the table is rebuilt, with
//! at least four times as many places as elements. The layout is the same since Python 3.7.

const SMALLEST: usize = 8;
const LINEAR_PROBES: usize = 9;
const PERTURB_SHIFT: u32 = 5;
/// Tables of more elements grow by two instead of four.
const LARGE: usize = 50_000;

/// Fills `order` with the indices that are not taken, in Python's order.
pub(crate) fn after_difference(taken: &[bool], order: &mut Vec<usize>) {
    order.clear();
    let removed = taken.iter().filter(|&&taken| taken).count();
    let rest = (0..taken.len()).filter(|&index| !taken[index]);
    // If few indices are removed, Python copies the set, in which small integers are sorted, and removes them from the
    // copy.
    if taken.len() / 4 > removed {
        order.extend(rest);
        return;
    }
    let mut table = vec![None; SMALLEST];
    for (count, value) in (1..).zip(rest) {
        insert(&mut table, value);
        if count * 5 >= (table.len() - 1) * 3 {
            let least = if count > LARGE { count * 2 } else { count * 4 };
            let mut larger = vec![None; (least + 1).next_power_of_two().max(SMALLEST)];
            table.into_iter().flatten().for_each(|value| insert(&mut larger, value));
            table = larger;
        }
    }
    order.extend(table.into_iter().flatten());
}

/// Puts a value that is not in the table into its first free place.
fn insert(table: &mut [Option<usize>], value: usize) {
    let mask = table.len() - 1;
    let (mut perturb, mut place) = (value, value & mask);
    loop {
        let probes = if place + LINEAR_PROBES <= mask { LINEAR_PROBES } else { 0 };
        if let Some(free) = (place..=place + probes).find(|&at| table[at].is_none()) {
            table[free] = Some(value);
            return;
        }
        perturb >>= PERTURB_SHIFT;
        place = (place.wrapping_mul(5).wrapping_add(1).wrapping_add(perturb)) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::after_difference;

    fn rest(count: usize, kept: &[usize]) -> Vec<usize> {
        let taken: Vec<bool> = (0..count).map(|index| !kept.contains(&index)).collect();
        let mut order = Vec::new();
        after_difference(&taken, &mut order);
        order
    }

    /// What `list(set(range(n)) - set(taken))` printed in CPython 3.11.
    #[test]
    fn indices_come_in_the_order_of_a_hash_table() {
        assert_eq!(rest(10, &[2, 9]), [9, 2]);
        assert_eq!(rest(20, &[5, 8, 13, 16, 19]), [5, 8, 13, 16, 19]);
        assert_eq!(rest(100, &[3, 11, 64, 65, 99]), [64, 65, 3, 99, 11]);
    }

    #[test]
    fn where_little_is_taken_away_they_are_sorted() {
        assert_eq!(rest(9, &[0, 1, 2, 3, 4, 5, 6, 8]), [0, 1, 2, 3, 4, 5, 6, 8]);
    }
}
