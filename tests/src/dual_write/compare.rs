//! Both sides by plain SQL, past everything that is checked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use sqlx::PgConnection;

/// One row as both sides would tell of it: company, number, and the mapped columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) namealias: String,
    pub(super) creditlimit: String,
    pub(super) rating: String,
    pub(super) exempt: String,
    pub(super) notes: String,
    pub(super) language: String,
    pub(super) hold: i64,
}

/// The sides are not the same, or not what clients were told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Diverged(pub(super) String);

impl Diverged {
    /// Account numbers of the rows that it names.
    pub(super) fn numbers(&self) -> Vec<String> {
        let words = self.0.split(|it: char| !(it.is_alphanumeric() || "/-".contains(it)));
        words.filter_map(|it| Some(it.split_once('/')?.1.to_owned())).collect()
    }
}

/// Rows by `COMPANY/NUMBER`.
pub(super) type Rows = BTreeMap<String, Row>;

/// As the statements have it: the key, then the row's columns.
type Found = (String, String, String, String, String, String, String, String, i64);

const CUSTOMERS: &str = "
    SELECT upper(c.dataareaid) || '/' || c.accountnum AS key, p.name, p.namealias,
        trim_scale(c.creditmax)::text AS creditlimit, c.creditrating AS rating, c.vatnum AS exempt,
        c.memo AS notes, p.languageid AS language, c.blocked::bigint AS hold
    FROM erp.custtable c JOIN erp.dirpartytable p ON p.recid = c.party
    WHERE p.partytype = (SELECT p2.partytype FROM erp.dirpartytable p2
        JOIN erp.custtable c2 ON c2.party = p2.recid WHERE c2.accountnum = 'CHK-0')";

const ACCOUNTS: &str = "
    SELECT upper(k.cdm_companycode) || '/' || a.accountnumber AS key, a.name,
        coalesce(a.msdyn_namealias, '') AS namealias,
        coalesce(trim_scale(a.creditlimit)::text, '0') AS creditlimit,
        coalesce(a.msdyn_creditrating, '') AS rating,
        coalesce(a.msdyn_taxexemptnumber, '') AS exempt, coalesce(a.description, '') AS notes,
        coalesce(a.msdyn_languageid, '') AS language,
        coalesce(a.msdyn_onholdstatus, 192350000)::bigint - 192350000 AS hold
    FROM organization.account a JOIN organization.cdm_company k ON k.cdm_companyid = a.msdyn_company
    WHERE a.customertypecode = 3";

impl Row {
    /// The number that the column's writer put into it; zero before the first.
    pub(super) fn number(&self, column: &str) -> u64 {
        let text = match column {
            "name" => self.name.rsplit(' ').next().unwrap_or_default(),
            "namealias" => &self.namealias,
            "creditlimit" => &self.creditlimit,
            "rating" => &self.rating,
            "language" => &self.language,
            _ => &self.exempt,
        };
        text.parse().unwrap_or_default()
    }
}

/// The rows of both sides, if they are the same.
pub(super) async fn agreed(
    erp: &mut PgConnection,
    platform: &mut PgConnection,
) -> Result<Result<Rows, Diverged>> {
    let (erp, platform) = (rows(erp, CUSTOMERS).await?, rows(platform, ACCOUNTS).await?);
    let keys: BTreeSet<_> = erp.keys().chain(platform.keys()).collect();
    let differing: Vec<_> = keys
        .into_iter()
        .filter(|it| erp.get(*it) != platform.get(*it))
        .map(|it| format!("{it}:\n  ERP      {:?}\n  platform {:?}", erp.get(it), platform.get(it)))
        .take(10)
        .collect();
    Ok(match differing.as_slice() {
        [] => Ok(erp),
        some => Err(Diverged(format!("the sides differ:\n{}", some.join("\n")))),
    })
}

async fn rows(connection: &mut PgConnection, sql: &'static str) -> Result<Rows> {
    let rows: Vec<Found> = sqlx::query_as(sql).fetch_all(connection).await?;
    let row = |it: Found| {
        let (key, name, namealias, creditlimit, rating, exempt, notes, language, hold) = it;
        (key, Row { name, namealias, creditlimit, rating, exempt, notes, language, hold })
    };
    Ok(rows.into_iter().map(row).collect())
}
