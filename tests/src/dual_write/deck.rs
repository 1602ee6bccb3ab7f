//! Choices that all come once before one comes twice.

use crate::random::Random;

/// Dealt in a random order, and then again in another.
#[derive(Debug)]
pub(super) struct Deck<T: 'static> {
    all: &'static [T],
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    /// Of these, which are not none.
    pub(super) fn new(all: &'static [T]) -> Self {
        Self { all, left: Vec::new() }
    }

    pub(super) fn deal(&mut self, random: &mut Random) -> T {
        if self.left.is_empty() {
            self.left = self.all.to_vec();
        }
        self.left.swap_remove(random.below(self.left.len()))
    }
}
