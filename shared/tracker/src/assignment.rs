//! The one-to-one assignment with the lowest sum of costs.
//!
//! The reference calls `lap.lapjv` with a cost limit `L`. It minimises the sum of `c - L` over the chosen pairs. A row
//! without a partner adds 0. Only pairs with `c < L` can lower the sum, so this solver stores only such pairs, and the
//! problem is sparse. A search starts at one row and can't leave its connected component of the overlap graph. So
//! components need not be computed.
//!
//! Method: shortest augmenting paths (Jonker & Volgenant 1987) with column prices `v`. Rows are added one at a time, in
//! ascending order. For each row, Dijkstra's search over reduced prices `c - v` finds the cheapest path. The path ends
//! at a free column, or at a row that costs less without a partner. The result is exact up to the rounding of `f64`
//! sums. The worst case is cubic, `O(rows * columns^2)`. In an ordinary crowd the best column of nearly every row is
//! free, and no search is needed. If all boxes of a component overlap (a pile), the same search runs on a table
//! ([`dense`]).
//!
//! Ties: of equally cheap columns a free one is chosen, then the one with the lowest index. So the row that was added
//! first retains its column.

mod dense;
mod piles;

use dense::Dense;
use piles::Piles;

/// The value for a row without a partner.
pub(crate) const NONE: u32 = u32::MAX;

/// A pair that can lower the sum: `price = c - L < 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) row: u32,
    pub(crate) column: u32,
    pub(crate) price: f64,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Dual price `v`, at most 0.
    v: f64,
    row: u32,
    /// Price of the pair with `row`.
    price: f64,
    /// The shortest path to this column so far: its length, the row before it, and the price of that last pair.
    distance: f64,
    from: u32,
    from_price: f64,
    /// Whether `distance` is final.
    settled: bool,
}

impl Column {
    const FREE: Self =
        Self { v: 0.0, row: NONE, price: 0.0, distance: f64::INFINITY, from: NONE, from_price: 0.0, settled: false };
}

/// Buffers reused from problem to problem.
#[derive(Debug, Default)]
pub(crate) struct Solver {
    /// Edges of row `i` are `sorted[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    sorted: Vec<(u32, f64)>,
    columns: Vec<Column>,
    matched: Vec<u32>,
    /// Columns the search has reached.
    reached: Vec<u32>,
    piles: Piles,
    dense: Dense,
    /// The columns of a pile's rows.
    of_pile: Vec<u32>,
}

impl Solver {
    /// The column of each row, or [`NONE`]. Edges come in any order, each pair at most once, with finite prices.
    pub(crate) fn solve(&mut self, rows: usize, columns: usize, edges: &[Edge]) -> &[u32] {
        self.matched.clear();
        self.matched.resize(rows, NONE);
        for pile in 0..self.piles.find(rows, columns, edges) {
            self.solve_pile(pile, rows, edges);
        }
        self.solve_sparse(rows, columns, edges)
    }

    /// Solves a pile in a table.
    fn solve_pile(&mut self, pile: usize, rows: usize, edges: &[Edge]) {
        let Self { piles, dense, of_pile, matched, .. } = self;
        piles.take(pile, rows, edges);
        of_pile.clear();
        of_pile.resize(piles.rows.len(), NONE);
        dense.solve(piles.rows.len(), piles.columns.len(), &piles.edges, of_pile);
        for (&row, &place) in piles.rows.iter().zip(&*of_pile) {
            if let Some(&column) = piles.columns.get(place as usize) {
                matched[row as usize] = column;
            }
        }
    }

    /// Solves the rows that are in no pile.
    fn solve_sparse(&mut self, rows: usize, columns: usize, edges: &[Edge]) -> &[u32] {
        self.group_by_row(rows, edges);
        self.columns.clear();
        self.columns.resize(columns, Column::FREE);
        for row in 0..rows as u32 {
            if !self.piles.has(row) && !self.take_free(row) {
                self.augment(row);
            }
        }
        &self.matched
    }

    /// Counting sort.
    fn group_by_row(&mut self, rows: usize, edges: &[Edge]) {
        self.starts.clear();
        self.starts.resize(rows + 2, 0);
        for edge in edges {
            self.starts[edge.row as usize + 2] += 1;
        }
        for row in 2..self.starts.len() {
            self.starts[row] += self.starts[row - 1];
        }
        self.sorted.clear();
        self.sorted.resize(edges.len(), (0, 0.0));
        for edge in edges {
            let start = &mut self.starts[edge.row as usize + 1];
            self.sorted[*start as usize] = (edge.column, edge.price);
            *start += 1;
        }
    }

    fn edges(&self, row: u32) -> std::ops::Range<usize> {
        self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize
    }

    /// The search's first step, enough for most rows: no edges, or the best column is free.
    fn take_free(&mut self, row: u32) -> bool {
        let edges = &self.sorted[self.edges(row)];
        let Some(&(mut best, mut price)) = edges.first() else { return true };
        let rank = |index: u32, price: f64| {
            let column = &self.columns[index as usize];
            (price - column.v, column.row != NONE, index)
        };
        let mut best_rank = rank(best, price);
        for &(column, candidate) in &edges[1..] {
            let candidate_rank = rank(column, candidate);
            if candidate_rank < best_rank {
                (best, price, best_rank) = (column, candidate, candidate_rank);
            }
        }
        let column = &mut self.columns[best as usize];
        if column.row != NONE {
            return false;
        }
        (column.row, column.price) = (row, price);
        self.matched[row as usize] = best;
        true
    }

    /// Adds the row `start` along the shortest path. Then lowers the column prices, so that reduced prices remain
    /// non-negative.
    fn augment(&mut self, start: u32) {
        let mut row = start;
        // The negated cost of the path up to `row`: an edge then costs `price - v - offset`.
        let mut offset = 0.0;
        // The cheapest path that ends with a row without a partner.
        let (mut alone, mut alone_distance) = (start, 0.0);
        let (end, length) = loop {
            self.relax(row, offset, alone_distance);
            match self.nearest() {
                Some(next) if self.columns[next as usize].distance < alone_distance => {
                    let column = &mut self.columns[next as usize];
                    if column.row == NONE {
                        break (next, column.distance);
                    }
                    column.settled = true;
                    row = column.row;
                    offset = column.price - column.v - column.distance;
                    if -offset < alone_distance {
                        (alone, alone_distance) = (row, -offset);
                    }
                }
                _ => break (std::mem::replace(&mut self.matched[alone as usize], NONE), alone_distance),
            }
        };
        self.shift(end);
        for &index in &self.reached {
            let column = &mut self.columns[index as usize];
            if column.settled {
                column.v += column.distance - length;
            }
            (column.settled, column.distance) = (false, f64::INFINITY);
        }
        self.reached.clear();
    }

    /// Shortens the paths to the columns of `row`. Leaves out paths that are longer than the best complete one.
    fn relax(&mut self, row: u32, offset: f64, limit: f64) {
        for edge in self.edges(row) {
            let (index, price) = self.sorted[edge];
            let column = &mut self.columns[index as usize];
            let distance = price - column.v - offset;
            if column.settled || distance >= column.distance || distance >= limit {
                continue;
            }
            if column.distance == f64::INFINITY {
                self.reached.push(index);
            }
            (column.distance, column.from, column.from_price) = (distance, row, price);
        }
    }

    fn nearest(&self) -> Option<u32> {
        let mut best: Option<(u32, (f64, bool, u32))> = None;
        for &index in &self.reached {
            let column = &self.columns[index as usize];
            let rank = (column.distance, column.row != NONE, index);
            if !column.settled && best.is_none_or(|(_, best)| rank < best) {
                best = Some((index, rank));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Moves each row of the path that ends in column `end` to the next column. The new row, which had no column, gets
    /// one.
    fn shift(&mut self, mut end: u32) {
        while end != NONE {
            let column = &mut self.columns[end as usize];
            let row = column.from;
            (column.row, column.price) = (row, column.from_price);
            end = std::mem::replace(&mut self.matched[row as usize], end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Edge, NONE, Solver};

    /// SplitMix64, which is good enough to choose small problems.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % limit
        }
    }

    /// The smallest sum of all choices. It tries every choice.
    fn cheapest(rows: u32, edges: &[Edge], taken: &mut Vec<u32>) -> f64 {
        let Some(row) = rows.checked_sub(1) else { return 0.0 };
        let mut best = cheapest(row, edges, taken);
        for edge in edges.iter().filter(|edge| edge.row == row) {
            if !taken.contains(&edge.column) {
                taken.push(edge.column);
                best = best.min(edge.price + cheapest(row, edges, taken));
                taken.pop();
            }
        }
        best
    }

    /// The sum of a choice, after a check that the choice is valid.
    fn sum(matched: &[u32], edges: &[Edge]) -> f64 {
        let mut taken = Vec::new();
        let mut sum = 0.0;
        for (row, &column) in (0..).zip(matched).filter(|&(_, &column)| column != NONE) {
            assert!(!taken.contains(&column), "column {column} was given away twice");
            taken.push(column);
            sum += edges.iter().find(|edge| edge.row == row && edge.column == column).expect("a priced pair").price;
        }
        sum
    }

    #[test]
    fn no_choice_of_pairs_is_cheaper() {
        let mut random = Random(7);
        let mut solver = Solver::default();
        for problem in 0..20_000 {
            let (rows, columns) = (1 + random.below(6) as u32, 1 + random.below(6) as u32);
            let density = 1 + random.below(10);
            // Few distinct prices in every other problem, so that ties occur.
            let levels = if problem % 2 == 0 { 1 << 40 } else { 4 };
            let mut edges = Vec::new();
            for row in 0..rows {
                for column in 0..columns {
                    if random.below(10) < density {
                        let price = -((1 + random.below(levels)) as f64 / levels as f64);
                        edges.push(Edge { row, column, price });
                    }
                }
            }
            let matched = solver.solve(rows as usize, columns as usize, &edges).to_vec();
            let (found, best) = (sum(&matched, &edges), cheapest(rows, &edges, &mut Vec::new()));
            assert!((found - best).abs() < 1e-9, "problem {problem}: {found} instead of {best} for {edges:?}");
        }
    }

    /// Runs both searches, also on problems for which the table is slower.
    fn both(rows: u32, columns: u32, edges: &[Edge]) -> [Vec<u32>; 2] {
        let (mut solver, mut matched) = (Solver::default(), vec![NONE; rows as usize]);
        solver.dense.solve(rows as usize, columns as usize, edges, &mut matched);
        solver.matched.resize(rows as usize, NONE);
        solver.piles.find(rows as usize, columns as usize, &[]);
        [solver.solve_sparse(rows as usize, columns as usize, edges).to_vec(), matched]
    }

    #[test]
    fn a_table_is_searched_to_the_same_choice_ties_included() {
        let mut random = Random(11);
        for problem in 0..3_000 {
            let most = if problem % 50 == 0 { 90 } else { 9 };
            let (rows, columns) = (1 + random.below(most) as u32, 1 + random.below(most) as u32);
            let (density, levels) = (3 + random.below(8), [4, 64, 1 << 40][problem % 3]);
            let mut edges = Vec::new();
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                if random.below(10) < density {
                    edges.push(Edge { row, column, price: -((1 + random.below(levels)) as f64 / levels as f64) });
                }
            }
            let [sparse, dense] = both(rows, columns, &edges);
            assert_eq!(sparse, dense, "problem {problem}");
        }
    }

    /// Two piles, whose boxes alternate, among other boxes that hardly overlap.
    #[test]
    fn piles_among_others_are_searched_to_the_same_choice() {
        let mut random = Random(5);
        for levels in [8, 1 << 40] {
            let mut edges = Vec::new();
            for row in 0..330_u32 {
                for column in 0..320_u32 {
                    let is_pair = match (row % 3, column % 3) {
                        (0, 0) | (1, 1) => random.below(10) > 0,
                        (2, 2) => row.abs_diff(column) < 4,
                        _ => false,
                    };
                    if is_pair {
                        edges.push(Edge { row, column, price: -((1 + random.below(levels)) as f64 / levels as f64) });
                    }
                }
            }
            let mut solver = Solver::default();
            let matched = solver.solve(330, 320, &edges).to_vec();
            assert_eq!(solver.piles.find(330, 320, &edges), 2);
            assert_eq!(matched, both(330, 320, &edges)[0]);
            // What is left of an earlier problem has no effect.
            assert_eq!(solver.solve(1, 1, &[Edge { row: 0, column: 0, price: -0.5 }]), [0]);
        }
    }

    #[test]
    fn of_equally_good_columns_the_lowest_wins() {
        let edges = [Edge { row: 0, column: 1, price: -0.2 }, Edge { row: 0, column: 0, price: -0.2 }];
        assert_eq!(Solver::default().solve(1, 2, &edges), [0]);
    }

    #[test]
    fn of_equally_good_rows_the_first_wins() {
        let edges = [Edge { row: 1, column: 0, price: -0.2 }, Edge { row: 0, column: 0, price: -0.2 }];
        assert_eq!(Solver::default().solve(2, 1, &edges), [0, NONE]);
    }

    #[test]
    fn a_row_gives_up_its_best_column_for_a_better_sum() {
        let edges = [
            Edge { row: 0, column: 0, price: -0.8 },
            Edge { row: 0, column: 1, price: -0.7 },
            Edge { row: 1, column: 0, price: -0.6 },
        ];
        assert_eq!(Solver::default().solve(2, 2, &edges), [1, 0]);
    }
}
