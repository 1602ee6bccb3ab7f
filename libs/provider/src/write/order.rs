//! Which of an entity's sources is inserted before which: the one that the other refers to goes first.

use super::entity::Entity;
use super::table::Table;

/// Every source, those that others need before those others. References take part like the rest, so
/// that each has its place.
pub(super) fn order(entity: &Entity) -> Vec<usize> {
    let edges = edges(entity);
    let mut waiting: Vec<usize> = (0..entity.tables.len()).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_free =
            |it: &usize| !edges.iter().any(|(first, then)| then == it && waiting.contains(first));
        // In a circle nobody is free; then the model's order is as good as any.
        let next = waiting.iter().position(is_free).unwrap_or(0);
        order.push(waiting.remove(next));
    }
    order
}

/// Pairs of sources, the first of which goes first.
fn edges(entity: &Entity) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    for (index, source, table) in entity.sources() {
        let Some(join) = &source.join else { continue };
        for (other, facts) in entity.tables.iter().enumerate() {
            let pairs = join.pairs.iter().filter(|it| it.1.source == other);
            let (own, others): (Vec<&str>, Vec<&str>) =
                pairs.map(|it| (it.0.as_str(), it.1.name.as_str())).unzip();
            if own.is_empty() || other == index {
                continue;
            }
            edges.push(match goes_first(table, &own, facts, &others) {
                true => (index, other),
                false => (other, index),
            });
        }
    }
    edges
}

/// Whether the joined table goes before the one that it joins.
fn goes_first(own: &Table, columns: &[&str], other: &Table, others: &[&str]) -> bool {
    match (own.is_unique(columns), other.is_unique(others)) {
        (true, false) => true,
        (false, true) => false,
        _ => other.refers_to(others, own) && !own.refers_to(columns, other),
    }
}
