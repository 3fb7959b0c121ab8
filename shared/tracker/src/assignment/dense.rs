//! The same search for a pile: boxes that all overlap, so that nearly every pair can lower the sum.
//!
//! In a pile the sparse search needs most of its time to follow edges to columns. Here prices are in a table, and a
//! step of the search is one pass over a row, without a branch. Distances, their order and the result of ties are the
//! same bits as in the sparse search.

use super::{Edge, NONE};

/// Columns of a block. The smallest distance of each block is stored, so the nearest column is found without a second
/// pass.
const BLOCK: usize = 16;

/// With fewer pairs than this, the sparse search is as fast.
pub(super) const FEWEST_EDGES: usize = 4_096;
/// In a pile, at least one of this many pairs can lower the sum.
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
    /// The shortest path to each column that is not settled. Infinite for settled columns, and 0 where no path lowers
    /// the sum.
    distance: Vec<f64>,
    /// The least of each block.
    least: Vec<f64>,
    /// The row of each column.
    row: Vec<u32>,
    /// Rows that the search has visited, and the negated cost of the path to each.
    visited: Vec<(u32, f64)>,
    /// Columns that are settled, in order, and the length of the path to each.
    settled: Vec<(u32, f64)>,
}

/// Whether the table is faster than the sparse search.
pub(super) fn pays(rows: usize, columns: usize, edges: usize) -> bool {
    edges >= FEWEST_EDGES && edges >= rows * columns / SHARE
}

impl Dense {
    /// Writes the column of each row into `matched`, which has none before.
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

    /// Adds the row `start` along the shortest path, as the sparse search does.
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

    /// Shortens the paths to the columns of `row`. Returns the nearest column that is not settled, and its distance. Of
    /// equally near columns a free one is chosen, then the lowest.
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

    /// Moves each row of the path that ends in column `end`, and has this length, to the next column. The path is found
    /// again from its end: the row before a column is the first visited one that gives the path its length.
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
