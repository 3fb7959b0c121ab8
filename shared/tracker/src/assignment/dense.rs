//! The same search where nearly every pair is worth taking: a pile of boxes that all overlap.
//!
//! There the sparse search spends its time on following edges to columns. Here prices are a table, and a step of the search is one pass
//! over a row of it, without a branch. Distances, their order and what ties come to are those of the sparse search, to the bit.

use super::{Edge, NONE};

/// Columns whose least distance is stored together, so that the nearest is found without a second pass over all.
const BLOCK: usize = 16;

/// Fewer pairs than these the sparse search finds as fast.
pub(super) const FEWEST_EDGES: usize = 4_096;
/// At least one pair in this many is worth taking.
const SHARE: usize = 4;

/// Buffers reused from problem to problem.
#[derive(Debug, Default)]
pub(super) struct Dense {
    /// Columns, rounded up to whole blocks.
    width: usize,
    /// Price of row `i` and column `j` at `i * width + j`; infinite where there is no pair.
    prices: Vec<f64>,
    /// Dual prices, and the same with minus infinity for columns that are settled in this search.
    v: Vec<f64>,
    open_v: Vec<f64>,
    /// The search's best way to each column that is not settled; infinite for those that are, 0 where there is none that pays.
    distance: Vec<f64>,
    /// The least of each block.
    least: Vec<f64>,
    /// The row of each column.
    row: Vec<u32>,
    /// Rows that the search has visited, and the cost of the way to each, negated.
    visited: Vec<(u32, f64)>,
    /// Columns that are settled, in order, and the length of the way to each.
    settled: Vec<(u32, f64)>,
}

/// Whether the table pays.
pub(super) fn pays(rows: usize, columns: usize, edges: usize) -> bool {
    edges >= FEWEST_EDGES && edges >= rows * columns / SHARE
}

impl Dense {
    /// The column of each row into `matched`, which holds none.
    pub(super) fn solve(&mut self, rows: usize, columns: usize, edges: &[Edge], matched: &mut [u32]) {
        self.width = columns.next_multiple_of(BLOCK);
        self.prices.clear();
        self.prices.resize(rows * self.width, f64::INFINITY);
        for edge in edges {
            self.prices[edge.row as usize * self.width + edge.column as usize] = edge.price;
        }
        for duals in [&mut self.v, &mut self.open_v, &mut self.distance] {
            duals.clear();
            duals.resize(self.width, 0.0);
        }
        self.least.clear();
        self.least.resize(self.width / BLOCK, 0.0);
        self.row.clear();
        self.row.resize(self.width, NONE);
        for row in 0..rows as u32 {
            self.augment(row, matched);
        }
    }

    /// Lets `start` in along the shortest path, as the sparse search does.
    fn augment(&mut self, start: u32, matched: &mut [u32]) {
        self.distance.fill(0.0);
        self.visited.clear();
        self.settled.clear();
        let (mut row, mut offset) = (start, 0.0);
        let (mut alone, mut alone_distance) = (start, 0.0);
        let (end, length) = loop {
            self.visited.push((row, offset));
            let (column, distance) = self.relax(row, offset);
            if distance >= alone_distance {
                break (std::mem::replace(&mut matched[alone as usize], NONE), alone_distance);
            }
            let at = column as usize;
            if self.row[at] == NONE {
                break (column, distance);
            }
            self.settled.push((column, distance));
            (self.distance[at], self.open_v[at]) = (f64::INFINITY, f64::NEG_INFINITY);
            row = self.row[at];
            offset = self.price(row, column) - self.v[at] - distance;
            if -offset < alone_distance {
                (alone, alone_distance) = (row, -offset);
            }
        };
        self.shift(end, length, matched);
        for &(column, distance) in &self.settled {
            let at = column as usize;
            self.v[at] += distance - length;
            self.open_v[at] = self.v[at];
        }
    }

    fn price(&self, row: u32, column: u32) -> f64 {
        self.prices[row as usize * self.width + column as usize]
    }

    /// Shortens the ways to the columns of `row`; the nearest that is not settled, and how far it is. Of equally near ones a free one, then the
    /// lowest.
    fn relax(&mut self, row: u32, offset: f64) -> (u32, f64) {
        let Self { width, prices, open_v, distance, least, row: rows, .. } = self;
        let prices = &prices[row as usize * *width..][..*width];
        let blocks = prices.chunks_exact(BLOCK).zip(open_v.chunks_exact(BLOCK)).zip(distance.chunks_exact_mut(BLOCK));
        for (((prices, v), distance), least) in blocks.zip(least.iter_mut()) {
            let mut lanes = [f64::INFINITY; BLOCK];
            for at in 0..BLOCK {
                let by_row = prices[at] - v[at] - offset;
                let best = if by_row < distance[at] { by_row } else { distance[at] };
                distance[at] = best;
                lanes[at] = best;
            }
            let mut of = BLOCK / 2;
            while of > 0 {
                for at in 0..of {
                    lanes[at] = if lanes[at + of] < lanes[at] { lanes[at + of] } else { lanes[at] };
                }
                of /= 2;
            }
            *least = lanes[0];
        }
        let nearest = least.iter().copied().fold(f64::INFINITY, |a, b| if b < a { b } else { a });
        let mut found = NONE;
        for block in (0..least.len()).filter(|&block| least[block] == nearest) {
            for at in (block * BLOCK..(block + 1) * BLOCK).filter(|&at| distance[at] == nearest) {
                if rows[at] == NONE {
                    return (at as u32, nearest);
                }
                found = found.min(at as u32);
            }
        }
        (found, nearest)
    }

    /// Moves every row on the path that ends in column `end`, which is so far, one column on, back to the new row, which had none. The path is
    /// found again from its end: the row that was visited first and comes to that length.
    fn shift(&mut self, mut end: u32, length: f64, matched: &mut [u32]) {
        while end != NONE {
            let at = end as usize;
            let place = self.settled.iter().position(|&(column, _)| column == end);
            let (before, distance) = match place {
                Some(place) => (place + 1, self.settled[place].1),
                None => (self.visited.len(), length),
            };
            let leads = |&&(row, offset): &&(u32, f64)| self.price(row, end) - self.v[at] - offset == distance;
            // The distance is one of these values.
            let Some(&(row, _)) = self.visited[..before].iter().find(leads) else { return };
            self.row[at] = row;
            end = std::mem::replace(&mut matched[row as usize], end);
        }
    }
}
