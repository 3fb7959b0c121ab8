//! Exact one-to-one assignment that maximises the sum of scores.
//!
//! ```
//! use trackdrop_assignment::{Assigner, Edge};
//!
//! let edge = |row, column, score| Edge { row, column, score };
//! // Row 0 is not assigned its best column, so that the sum is higher.
//! assert_eq!(Assigner::default().maximise(&[edge(0, 0, 0.9), edge(0, 1, 0.8), edge(1, 0, 0.7)]), [1, 2]);
//! ```
//!
//! The tracker has a separate solver, because its golden rows depend on how that solver breaks ties.

use std::{cmp::Ordering, collections::BinaryHeap};

/// The value for "no row" or "no edge".
const NONE: usize = usize::MAX;

/// A row and a column that can be assigned to each other, with a positive score.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// Which row.
    pub row: u32,
    /// Which column.
    pub column: u32,
    /// The score, above 0.
    pub score: f64,
}

/// Solves assignments, and reuses its buffers.
///
/// Method: shortest augmenting paths with potentials (Jonker & Volgenant 1987, in the rectangular form of Crouse 2016).
/// Dijkstra's algorithm finds them on the existing edges. Pairs without an edge have a score of 0. So a row can also
/// remain without a column, as if it had a private column with a score of 0. With positive scores the result is that of
/// a dense solver on the full matrix.
///
/// Internally, costs are negated scores. With the potentials `u` of rows and `v` of columns, every reduced cost `-score
/// - u - v`, and `-u` for a row without a column, is at least 0. It is 0 for assigned pairs. Rows are added one by one.
#[derive(Debug, Default)]
pub struct Assigner {
    /// `edges[starts[r]..starts[r + 1]]` are those of row `r`; rows are numbered by appearance.
    starts: Vec<usize>,
    /// Edges of each column.
    column_edges: Vec<u32>,
    u: Vec<f64>,
    v: Vec<f64>,
    row_edge: Vec<usize>,
    column_row: Vec<usize>,
    /// Per column, in the search of one row: its distance, the edge that reached it, the row of that edge.
    reached: Vec<Reached>,
    touched: Vec<usize>,
    /// Rows scanned in the search, with their distances.
    scanned: Vec<(usize, f64)>,
    queue: BinaryHeap<Candidate>,
    chosen: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Reached {
    distance: f64,
    edge: usize,
    row: usize,
}

const UNREACHED: Reached = Reached { distance: f64::INFINITY, edge: NONE, row: NONE };

/// A column from which the search continues. The nearest column compares as the greatest. Of equally near ones, the one
/// with the lowest number does.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    distance: f64,
    column: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.distance.total_cmp(&self.distance).then(other.column.cmp(&self.column))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The end of a search.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A free column.
    FreeColumn(usize),
    /// A row that remains without a column.
    LoneRow(usize),
}

impl Assigner {
    /// Returns the indices of the chosen edges, ascending. `edges` must be sorted by row.
    pub fn maximise(&mut self, edges: &[Edge]) -> &[usize] {
        debug_assert!(edges.is_sorted_by_key(|edge| edge.row));
        debug_assert!(edges.iter().all(|edge| edge.score > 0.0));
        self.reset(edges);
        for row in 0..self.row_edge.len() {
            let first = self.starts[row];
            // No other edge affects these two. Most objects of a video have one box near them.
            if self.starts[row + 1] == first + 1 && self.column_edges[edges[first].column as usize] == 1 {
                self.row_edge[row] = first;
                continue;
            }
            let (end, distance) = self.search(edges, row);
            self.reweigh(distance);
            self.augment(edges, row, end);
            for column in self.touched.drain(..) {
                self.reached[column] = UNREACHED;
            }
        }
        self.chosen.clear();
        self.chosen.extend(self.row_edge.iter().copied().filter(|&edge| edge != NONE));
        &self.chosen
    }

    fn reset(&mut self, edges: &[Edge]) {
        self.starts.clear();
        self.starts.push(0);
        for row in edges.chunk_by(|a, b| a.row == b.row) {
            self.starts.push(self.starts[self.starts.len() - 1] + row.len());
        }
        let rows = self.starts.len() - 1;
        let columns = edges.iter().map(|edge| edge.column as usize + 1).max().unwrap_or(0);
        refill(&mut self.column_edges, columns, 0);
        for edge in edges {
            self.column_edges[edge.column as usize] += 1;
        }
        refill(&mut self.u, rows, 0.0);
        refill(&mut self.row_edge, rows, NONE);
        refill(&mut self.v, columns, 0.0);
        refill(&mut self.column_row, columns, NONE);
        refill(&mut self.reached, columns, UNREACHED);
    }

    /// Finds the shortest path from a new row to an end.
    fn search(&mut self, edges: &[Edge], start: usize) -> (End, f64) {
        self.queue.clear();
        self.scanned.clear();
        let own = &edges[self.starts[start]..self.starts[start + 1]];
        self.u[start] = own.iter().map(|edge| -edge.score - self.v[edge.column as usize]).fold(0.0, f64::min);
        let (mut row, mut distance) = (start, 0.0);
        let (mut end, mut nearest) = (End::LoneRow(start), f64::INFINITY);
        loop {
            self.scanned.push((row, distance));
            let alone = distance - self.u[row];
            if alone < nearest {
                (end, nearest) = (End::LoneRow(row), alone);
            }
            let own = self.starts[row]..self.starts[row + 1];
            for (&Edge { column, score, .. }, edge) in edges[own.clone()].iter().zip(own) {
                let column = column as usize;
                // Rounding can leave a reduced cost slightly below 0, which must not cause an endless search.
                let step = (-score - self.u[row] - self.v[column]).max(0.0);
                let reached = Reached { distance: distance + step, edge, row };
                if reached.distance >= nearest || reached.distance >= self.reached[column].distance {
                    continue;
                }
                if self.reached[column].edge == NONE {
                    self.touched.push(column);
                }
                self.reached[column] = reached;
                if self.column_row[column] == NONE {
                    (end, nearest) = (End::FreeColumn(column), reached.distance);
                } else {
                    self.queue.push(Candidate { distance: reached.distance, column });
                }
            }
            // A column that is reached again by a shorter path is in the queue twice; the entry of the longer path is stale.
            let next = loop {
                match self.queue.pop() {
                    Some(next) if next.distance > self.reached[next.column].distance => {}
                    next => break next,
                }
            };
            match next {
                Some(next) if next.distance < nearest => {
                    (row, distance) = (self.column_row[next.column], next.distance);
                }
                _ => return (end, nearest),
            }
        }
    }

    /// Makes the reduced cost of the found path 0. All other reduced costs remain at 0 or above.
    fn reweigh(&mut self, nearest: f64) {
        for &(row, distance) in &self.scanned {
            self.u[row] += nearest - distance;
        }
        for &column in &self.touched {
            let distance = self.reached[column].distance;
            if distance < nearest {
                self.v[column] -= nearest - distance;
            }
        }
    }

    /// Moves columns along the found path, from its end back to the new row.
    fn augment(&mut self, edges: &[Edge], start: usize, end: End) {
        let mut column = match end {
            End::LoneRow(row) if row == start => return,
            End::LoneRow(row) => edges[std::mem::replace(&mut self.row_edge[row], NONE)].column as usize,
            End::FreeColumn(column) => column,
        };
        loop {
            let Reached { edge, row, .. } = self.reached[column];
            let previous = std::mem::replace(&mut self.row_edge[row], edge);
            self.column_row[column] = row;
            if row == start {
                return;
            }
            column = edges[previous].column as usize;
        }
    }
}

fn refill<T: Copy>(buffer: &mut Vec<T>, length: usize, value: T) {
    buffer.clear();
    buffer.resize(length, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(edges: &[Edge]) -> f64 {
        let mut assigner = Assigner::default();
        let chosen = assigner.maximise(edges);
        let mut rows: Vec<u32> = chosen.iter().map(|&edge| edges[edge].row).collect();
        let mut columns: Vec<u32> = chosen.iter().map(|&edge| edges[edge].column).collect();
        rows.dedup();
        columns.sort_unstable();
        columns.dedup();
        assert_eq!((rows.len(), columns.len()), (chosen.len(), chosen.len()), "one to one");
        chosen.iter().map(|&edge| edges[edge].score).sum()
    }

    /// Tries everything.
    fn best(edges: &[Edge], taken: u32) -> f64 {
        let Some(first) = edges.first() else { return 0.0 };
        let (own, others) = edges.split_at(edges.partition_point(|edge| edge.row == first.row));
        let open = own.iter().filter(|edge| taken & (1 << edge.column) == 0);
        open.map(|edge| edge.score + best(others, taken | (1 << edge.column))).fold(best(others, taken), f64::max)
    }

    #[test]
    fn nothing_is_assigned_where_there_are_no_edges() {
        assert!(Assigner::default().maximise(&[]).is_empty());
    }

    #[test]
    fn a_row_gives_way_to_one_that_gains_more() {
        let edges = [
            Edge { row: 0, column: 0, score: 0.6 },
            Edge { row: 1, column: 0, score: 0.9 },
            Edge { row: 2, column: 0, score: 0.7 },
        ];
        assert_eq!(Assigner::default().maximise(&edges), [1]);
    }

    #[test]
    fn the_sum_counts_and_not_the_best_pair() {
        let edges = [
            Edge { row: 0, column: 0, score: 0.9 },
            Edge { row: 0, column: 1, score: 0.8 },
            Edge { row: 1, column: 0, score: 0.8 },
        ];
        assert_eq!(Assigner::default().maximise(&edges), [1, 2]);
    }

    proptest! {
        #[test]
        fn no_assignment_is_better(cells in prop::collection::vec(0_u32..9, 49), width in 1_usize..8) {
            let cell = |index: usize| (index / width, index % width, f64::from(cells[index]) / 4.0);
            let edges: Vec<Edge> = (0..cells.len().min(width * 7))
                .map(cell)
                .filter(|&(_, _, score)| score > 0.0)
                .map(|(row, column, score)| Edge { row: row as u32, column: column as u32, score })
                .collect();
            prop_assert_eq!(total(&edges), best(&edges, 0));
        }
    }
}
