//! The statement that makes rows of an entity out of entries of its tables.
//!
//! One branch for each source: its images, as a record of the columns that are needed, stand in place
//! of its table, and the others are joined to them as they are now. Names of ours have a space in
//! them, so that none clashes with an alias of a model.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use change_log::IN_WINDOW;

use crate::binding::{Binding, Casing, Field, Identity, Join, Source, SourceSet};
use crate::names::Ident;

/// SQL types of a source's columns, in the table's order.
pub(crate) type Types = HashMap<usize, Vec<(String, String)>>;

/// A column that the entity is made of, which its table does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoColumn(pub(crate) String);

/// What decides whether the caller may see a row.
pub(crate) struct Visibility<'a> {
    /// Holds what it may; absent where it may hold anything.
    pub(super) decisive: Option<&'a Field>,
    /// What the row policies that bind the caller demand, and the sources that they speak of.
    pub(super) policy: Option<(String, SourceSet)>,
    /// The condition of a caller who may see anything.
    pub(super) anything: &'static str,
}

impl Visibility<'_> {
    /// Of who may see every row.
    pub(crate) fn unrestricted() -> Self {
        Self { decisive: None, policy: None, anything: "true" }
    }
}

/// `$1` and `$2` are the window, `$3` the relations, `$4` what the decisive field holds in rows that
/// the caller may see, where that is not all; `touched` has a row for each image.
pub(super) fn touched(
    binding: &Binding,
    types: &Types,
    visibility: &Visibility<'_>,
) -> Result<String, NoColumn> {
    let entries = format!(
        "SELECT relation, old, new, seq, max(seq) OVER (PARTITION BY xid) AS transaction
         FROM tombolo.change_log WHERE relation = ANY($3) AND {IN_WINDOW}"
    );
    let mut sql = touched_by(binding, types, visibility, &entries)?;
    sql.push_str(
        ", \"the changed\" AS (
             SELECT id, max(ARRAY[transaction, seq]) AS last, bool_or(visible) AS visible
             FROM \"the touched\" WHERE id IS NOT NULL GROUP BY id
         ) ",
    );
    Ok(sql)
}

/// Rows that entries touch, each with the entry: `\"the touched\" (id, transaction, seq, visible)`. `entries` is a
/// statement that selects `relation`, `old`, `new`, `seq` and `transaction`.
pub(crate) fn touched_by(
    binding: &Binding,
    types: &Types,
    visibility: &Visibility<'_>,
    entries: &str,
) -> Result<String, NoColumn> {
    let mut sql = format!(
        "WITH \"the entries\" AS MATERIALIZED ({entries}), \"the images\" AS (
             SELECT relation, old AS image, seq, transaction FROM \"the entries\"
             WHERE old IS NOT NULL
             UNION ALL
             SELECT relation, new, seq, transaction FROM \"the entries\" WHERE new IS NOT NULL
         ), \"the touched\" (id, transaction, seq, visible) AS ("
    );
    for (index, source) in binding.sources.iter().enumerate() {
        if index > 0 {
            sql.push_str(" UNION ALL ");
        }
        let branch = Branch { binding, index, source, visibility };
        branch.write(&mut sql, types)?;
    }
    sql.push(')');
    Ok(sql)
}

/// A changed row's id, for the condition of those that the caller may see now.
pub(super) const ID: &str = "\"the changed\".id";

/// Behind [`touched`]: `limit` rows behind the last one of the page before. Of others than those that the
/// caller could see, or may by `seen`, not even that there are some is told.
pub(super) fn list(seen: &str, transaction: &str, entry: &str, limit: &str) -> String {
    format!(
        "SELECT id, last[1], last[2], coalesce(visible, false) FROM \"the changed\" \
         WHERE last > ARRAY[{transaction}, {entry}]::bigint[] AND (visible OR {seen}) \
         ORDER BY \"the changed\".last LIMIT {limit}"
    )
}

/// Behind [`touched`]: how many rows [`list`] tells of.
pub(super) fn count(seen: &str) -> String {
    format!("SELECT count(*) FROM \"the changed\" WHERE visible OR {seen}")
}

/// Images of one source, and the rows of the entity that they are of.
struct Branch<'a> {
    binding: &'a Binding,
    index: usize,
    source: &'a Source,
    visibility: &'a Visibility<'a>,
}

impl Branch<'_> {
    fn write(&self, sql: &mut String, types: &Types) -> Result<(), NoColumn> {
        let path = self.closure([self.index]);
        let decisive = self.visibility.decisive.map_or_else(SourceSet::default, |it| it.needs);
        let judged = self.judged();
        let needed = (0..self.binding.sources.len()).filter(|it| decisive.contains(*it));
        let others: BTreeSet<usize> = self.closure(needed.chain(judged.iter().copied()));
        let others = others.difference(&path).copied().collect();
        let _ = write!(
            sql,
            "SELECT {}, \"the image\".transaction, \"the image\".seq, {}
             FROM \"the images\" AS \"the image\"
             CROSS JOIN LATERAL jsonb_to_record(\"the image\".image) AS {}({})",
            self.id(),
            self.visible(&judged),
            self.source.alias,
            self.columns(types, &path, &others)?,
        );
        for index in path.iter().copied().filter(|it| *it != self.index) {
            self.join(sql, index, "JOIN");
        }
        for index in others.iter().copied().filter(|it| *it != self.index) {
            self.join(sql, index, "LEFT JOIN");
        }
        let relation = &self.source.table.replace('\'', "''");
        let _ = write!(sql, " WHERE \"the image\".relation = '{relation}'");
        if let Some(join) = &self.source.join {
            let _ = write!(sql, " AND {}", join.condition);
        }
        Ok(())
    }

    /// The sources and those between them and the root, and the root.
    fn closure(&self, sources: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([0]);
        let mut open: Vec<usize> = sources.into_iter().collect();
        while let Some(index) = open.pop() {
            if found.insert(index)
                && let Some(join) = self.join_of(index)
            {
                open.extend((0..self.binding.sources.len()).filter(|it| join.needs.contains(*it)));
            }
        }
        found
    }

    fn join_of(&self, index: usize) -> Option<&Join> {
        self.binding.sources.get(index)?.join.as_ref()
    }

    fn join(&self, sql: &mut String, index: usize, how: &str) {
        let Some(source) = self.binding.sources.get(index) else { return };
        let condition = source.join.as_ref().map_or("true", |it| it.condition.as_str());
        let _ = write!(sql, " {how} {} AS {} ON {condition}", source.table, source.alias);
    }

    fn id(&self) -> String {
        match &self.binding.identity {
            Identity::Integer { column } => format!("{column}::bigint::text"),
            Identity::Uuid { column } => format!("{column}::uuid::text"),
            Identity::Hash { columns, expression } => {
                // As for a row that is read, of which no part of the key is null.
                let given: Vec<String> =
                    columns.iter().map(|it| format!("{it} IS NOT NULL")).collect();
                format!("CASE WHEN {} THEN {expression} END", given.join(" AND "))
            }
        }
    }

    /// The sources that policies speak of, and those that lead to them.
    fn judged(&self) -> BTreeSet<usize> {
        let Some((_, needs)) = &self.visibility.policy else { return BTreeSet::new() };
        self.closure((0..self.binding.sources.len()).filter(|it| needs.contains(*it)))
    }

    fn visible(&self, judged: &BTreeSet<usize>) -> String {
        let mut visible = self.allowed();
        if let Some((predicate, _)) = &self.visibility.policy {
            let _ = write!(visible, " AND {predicate}");
        }
        // Nothing is known of what is gone by now; a policy that speaks of it does not hold.
        for index in judged.iter().filter(|it| **it != self.index) {
            let join = self.join_of(*index).and_then(|it| it.pairs.first());
            if let (Some((column, _)), Some(source)) = (join, self.binding.sources.get(*index)) {
                let _ = write!(visible, " AND {}.{} IS NOT NULL", source.alias, Ident(column));
            }
        }
        visible
    }

    fn allowed(&self) -> String {
        match self.visibility.decisive {
            // Every parameter is to have a type.
            None => self.visibility.anything.to_owned(),
            Some(field) if field.casing == Casing::Exact => {
                format!("({})::text = ANY($4::text[])", field.sql)
            }
            Some(field) => format!("lower(({})::text) = ANY($4::text[])", field.sql),
        }
    }

    /// `"a" bigint, "b" text`: the columns of the image that the branch speaks of.
    fn columns(
        &self,
        types: &Types,
        path: &BTreeSet<usize>,
        others: &BTreeSet<usize>,
    ) -> Result<String, NoColumn> {
        let mut needed = BTreeSet::new();
        if self.index == 0 {
            needed.extend(self.binding.identity_columns.iter().map(String::as_str));
        }
        for index in path.union(others).copied() {
            for (own, other) in self.join_of(index).iter().flat_map(|it| &it.pairs) {
                if index == self.index {
                    needed.insert(own);
                }
                if other.source == self.index {
                    needed.insert(&other.name);
                }
            }
        }
        let known = types.get(&self.index).map_or(&[][..], Vec::as_slice);
        let speaks_of_all =
            self.visibility.policy.as_ref().is_some_and(|(_, needs)| needs.contains(self.index));
        match self.visibility.decisive.map(|it| &it.column) {
            _ if speaks_of_all => needed.extend(known.iter().map(|(name, _)| name.as_str())),
            Some(Some(column)) if column.source == self.index => {
                needed.insert(&column.name);
            }
            // An expression may speak of any.
            Some(None) => needed.extend(known.iter().map(|(name, _)| name.as_str())),
            Some(Some(_)) | None => {}
        }
        let typed = needed.into_iter().map(|name| {
            let found = known.iter().find(|(it, _)| it == name);
            let (_, r#type) = found.ok_or_else(|| NoColumn(name.to_owned()))?;
            Ok(format!("{} {type}", Ident(name)))
        });
        Ok(typed.collect::<Result<Vec<_>, _>>()?.join(", "))
    }
}
