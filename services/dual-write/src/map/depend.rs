//! Which maps have to run for the lookups of others to resolve, and which others those are (spec DW-09).

use std::collections::{BTreeMap, BTreeSet};

use super::compile::CompiledMap;

/// Maps that feed the tables that a map looks up, directly and by way of others, parents first, without
/// the map itself.
pub(crate) fn required_maps<'m>(
    map: &str,
    all: impl IntoIterator<Item = &'m CompiledMap>,
) -> Vec<&'m str> {
    reached(map, &needs(all))
}

/// Maps that look up what a map feeds, or whose versions name it among the maps that they require, directly and by way
/// of others, children first, without the map itself.
pub(crate) fn dependent_maps<'m>(
    map: &str,
    all: impl IntoIterator<Item = (&'m CompiledMap, &'m [String])>,
) -> Vec<&'m str> {
    let (all, required): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let given = all.iter().zip(required).flat_map(|(map, required)| {
        required.iter().map(|needed| (map.name.as_str(), needed.as_str()))
    });
    let needs = needs(all.iter().copied());
    let found = needs.iter().flat_map(|(map, them)| them.iter().map(|needed| (*map, *needed)));
    let mut needed_by = Needs::new();
    for (map, needed) in given.chain(found).filter(|(map, needed)| map != needed) {
        needed_by.entry(needed).or_default().insert(map);
    }
    reached(map, &needed_by)
}

/// What a map leads to, directly and by way of others, each behind what it leads to itself.
fn reached<'m>(map: &str, needs: &Needs<'m>) -> Vec<&'m str> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some((name, _)) = needs.get_key_value(map) {
        visit(name, needs, &mut seen, &mut order);
    }
    order.retain(|it| *it != map);
    order
}

/// All maps, each behind those it needs, but where they need each other.
pub(crate) fn in_order<'m>(all: impl IntoIterator<Item = &'m CompiledMap>) -> Vec<&'m str> {
    let needs = needs(all);
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in needs.keys() {
        visit(name, &needs, &mut seen, &mut order);
    }
    order
}

type Needs<'m> = BTreeMap<&'m str, BTreeSet<&'m str>>;

fn needs<'m>(all: impl IntoIterator<Item = &'m CompiledMap>) -> Needs<'m> {
    let all: Vec<&CompiledMap> = all.into_iter().collect();
    let feeds = |table: &str| {
        let table = table.to_owned();
        all.iter().filter(move |it| it.platform.table.name == table).map(|it| it.name.as_str())
    };
    all.iter()
        .map(|map| {
            let needed = map.looked_up_tables().flat_map(feeds);
            (map.name.as_str(), needed.filter(|it| *it != map.name).collect())
        })
        .collect()
}

/// Without recursion, however long the chain.
fn visit<'m>(
    first: &'m str,
    needs: &Needs<'m>,
    seen: &mut BTreeSet<&'m str>,
    order: &mut Vec<&'m str>,
) {
    let mut stack = vec![(first, false)];
    while let Some((name, is_done)) = stack.pop() {
        if is_done {
            order.push(name);
        } else if seen.insert(name) {
            stack.push((name, true));
            let needed = needs.get(name).into_iter().flatten().rev();
            stack.extend(needed.filter(|it| !seen.contains(*it)).map(|it| (*it, false)));
        }
    }
}
