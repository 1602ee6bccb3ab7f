//! Accounts beside the made-up tables: queries that join the two cross the line between the ERP and
//! the platform.

use anyhow::{Context as _, Result, ensure};

use super::schema::{Column, ForeignKey, Kind, Table};
use super::write::answered;
use crate::Web;

const SET: &str = "accounts";
const COLUMNS: [(&str, Kind); 9] = [
    ("accountnumber", Kind::Text),
    ("name", Kind::Text),
    ("numberofemployees", Kind::Int),
    ("revenue", Kind::Decimal),
    ("creditlimit", Kind::Decimal),
    ("telephone1", Kind::Text),
    ("address1_city", Kind::Text),
    ("description", Kind::Memo),
    ("createdon", Kind::Moment),
];

/// The accounts that a system has, as its `at`th table. Their rows are what a plain read says.
pub(super) async fn accounts(web: &Web, at: usize) -> Result<(Table, String)> {
    let (rows, _) = web.pages(SET, 5_000).await?;
    ensure!(rows.len() > 100, "{} accounts", rows.len());
    let column = |(name, kind): (&str, Kind)| Column {
        name: name.to_owned(),
        prefix: "",
        kind,
        nullable: true,
    };
    let columns = COLUMNS.map(column).to_vec();
    let mut cells = Vec::new();
    let mut links = Vec::new();
    let id_of = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    for row in &rows {
        let values = columns.iter().map(|it| answered(it.kind, &row[&it.name]));
        cells.push(values.collect::<Result<Vec<_>>>()?);
        let parent = id_of(&row["_parentaccountid_value"]);
        let parent = parent.map(|id| {
            let found = rows.iter().position(|it| it["accountid"] == id.as_str());
            found.with_context(|| format!("no account {id}"))
        });
        links.push(vec![parent.transpose()?]);
    }
    let parent = ForeignKey {
        name: "parentaccountid".to_owned(),
        lookup: "parentaccountid".to_owned(),
        navigation: "parentaccountid".to_owned(),
        collection: "account_parent_account".to_owned(),
        columns: Vec::new(),
        target: at,
    };
    let table = Table {
        name: "account",
        prefix: "",
        columns,
        key: 0,
        foreign_keys: vec![parent],
        rows: cells,
        links,
    };
    Ok((table, SET.to_owned()))
}
