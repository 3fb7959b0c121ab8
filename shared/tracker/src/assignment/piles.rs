//! Finds the piles of a problem: connected components of the overlap graph in which nearly every pair can lower the
//! sum. A search never leaves its component, so each pile can be solved separately.

use super::{Edge, dense};

/// One pile.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    rows: usize,
    columns: usize,
    edges: usize,
}

/// Buffers reused from problem to problem.
#[derive(Debug, Default)]
pub(super) struct Piles {
    /// For each row, and then for each column: another one of the same component. The one that refers to itself
    /// represents the component.
    parent: Vec<u32>,
    sizes: Vec<Size>,
    /// The number of each row and column in its component.
    place: Vec<u32>,
    /// Rows, columns and edges of the current pile. Edges have numbers inside the pile.
    pub(super) rows: Vec<u32>,
    pub(super) columns: Vec<u32>,
    pub(super) edges: Vec<Edge>,
    /// The representative of each pile.
    roots: Vec<u32>,
    /// Whether a row is in a pile.
    is_in_pile: Vec<bool>,
}

impl Piles {
    /// Finds the piles, and returns how many there are.
    pub(super) fn find(&mut self, rows: usize, columns: usize, edges: &[Edge]) -> usize {
        self.roots.clear();
        self.is_in_pile.clear();
        self.is_in_pile.resize(rows, false);
        // Most problems have so few pairs that none is a pile.
        if edges.len() < dense::FEWEST_EDGES {
            return 0;
        }
        self.parent.clear();
        self.parent.extend(0..(rows + columns) as u32);
        for edge in edges {
            let (row, column) = (self.root(edge.row), self.root(edge.column + rows as u32));
            let (first, other) = (row.min(column), row.max(column));
            self.parent[other as usize] = first;
        }
        self.sizes.clear();
        self.sizes.resize(rows + columns, Size::default());
        self.place.clear();
        for at in 0..(rows + columns) as u32 {
            let root = self.root(at) as usize;
            let size = &mut self.sizes[root];
            let count = if (at as usize) < rows { &mut size.rows } else { &mut size.columns };
            self.place.push(*count as u32);
            *count += 1;
        }
        for edge in edges {
            let root = self.root(edge.row) as usize;
            self.sizes[root].edges += 1;
        }
        let pays = |&root: &u32| {
            let Size { rows, columns, edges } = self.sizes[root as usize];
            dense::pays(rows, columns, edges)
        };
        self.roots.extend((0..self.sizes.len() as u32).filter(pays));
        self.roots.len()
    }

    /// Makes a pile the current one.
    pub(super) fn take(&mut self, pile: usize, rows: usize, edges: &[Edge]) {
        let root = self.roots[pile];
        self.rows.clear();
        self.columns.clear();
        self.edges.clear();
        for at in 0..self.parent.len() as u32 {
            if self.root(at) == root {
                match at.checked_sub(rows as u32) {
                    None => {
                        self.is_in_pile[at as usize] = true;
                        self.rows.push(at);
                    }
                    Some(column) => self.columns.push(column),
                }
            }
        }
        for edge in edges {
            if self.root(edge.row) == root {
                let (row, column) = (self.place[edge.row as usize], self.place[edge.column as usize + rows]);
                self.edges.push(Edge { row, column, price: edge.price });
            }
        }
    }

    /// Whether a row is in a pile that was taken in hand.
    pub(super) fn has(&self, row: u32) -> bool {
        self.is_in_pile[row as usize]
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.parent[at as usize] != at {
            let above = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = above;
            at = above;
        }
        at
    }
}
