//! What is read: a request, and the SQL that a client with a connection of its own would send.

use anyhow::{Context as _, Result};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use tests::Web;

/// Columns of both sides, so that both move the same values.
const SELECT: &str = "mserp_dataareaid,mserp_customeraccount,mserp_organizationname,mserp_customergroupid,\
mserp_salescurrencycode,mserp_paymentterms,mserp_onholdstatus,mserp_creditlimit,mserp_creditreviewdate,\
mserp_createddatetime,mserp_recordversion,mserp_externalid";

const SET: &str = "mserp_custcustomerv3entities";
const ID: &str = "mserp_custcustomerv3entityid";

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// For people.
    pub name: &'static str,
    /// Path and query below the service root.
    pub path: String,
    /// Value of `Prefer`; empty for none.
    pub prefer: &'static str,
    /// The SQL of the direct side.
    pub sql: &'static str,
    parameters: Parameters,
    /// How many rows both sides give.
    pub rows: usize,
}

#[derive(Clone, Debug)]
enum Parameters {
    RecordId(i64),
    CompanyAndLimit(&'static str, i64),
    None,
}

/// The direct side's statements: the same columns, joins, order and number of rows. Each list asks
/// for one row more than it shows, to know whether there is a next page.
macro_rules! customers {
    ($rest:literal) => {
        concat!(
            "SELECT c.recid, c.recversion, c.dataareaid, c.accountnum, p.name, c.custgroup, c.currency, c.paymtermid, ",
            "c.blocked, c.creditmax, c.creditreviewdate, c.createddatetime, c.externalid ",
            "FROM erp.custtable c JOIN erp.dirpartytable p ON p.recid = c.party ",
            $rest
        )
    };
}

const BY_ID: &str = customers!("WHERE c.recid = $1");
const FILTERED: &str = customers!(
    "WHERE c.dataareaid = $1 AND c.creditmax > $2::bigint::numeric \
     ORDER BY c.accountnum, c.recid LIMIT 51"
);
const PAGE: &str = customers!("ORDER BY c.recid LIMIT 5001");

impl Case {
    /// The point read, the filtered list, the large page.
    pub async fn all(web: &Web) -> Result<Vec<Self>> {
        let list =
            web.json(&format!("{SET}?$select={ID}&$top=1&$orderby=mserp_customeraccount")).await?;
        let id = list["value"][0][ID].as_str().context("the ERP has no customers")?.to_owned();
        let record_id = tests::tables::CUSTOMERS.record_id_of(&list["value"][0])?;
        let filter = "mserp_dataareaid%20eq%20'USMF'%20and%20mserp_creditlimit%20gt%201000";
        let mut cases = vec![
            Self {
                name: "one row by GUID",
                path: format!("{SET}({id})?$select={SELECT}"),
                prefer: "",
                sql: BY_ID,
                parameters: Parameters::RecordId(record_id),
                rows: 1,
            },
            Self {
                name: "50 rows, filtered and sorted",
                path: format!(
                    "{SET}?$select={SELECT}&$filter={filter}&$orderby=mserp_customeraccount&$top=50"
                ),
                prefer: "",
                sql: FILTERED,
                parameters: Parameters::CompanyAndLimit("USMF", 1_000),
                rows: 50,
            },
            Self {
                name: "page of 5000 rows",
                path: format!("{SET}?$select={SELECT}"),
                prefer: "odata.maxpagesize=5000",
                sql: PAGE,
                parameters: Parameters::None,
                rows: 5_000,
            },
        ];
        for case in &mut cases {
            case.check(web).await?;
        }
        Ok(cases)
    }

    /// Both sides must have what to read.
    async fn check(&mut self, web: &Web) -> Result<()> {
        let answer = web.get_prefer(&self.path, self.prefer).await?.ok()?;
        let rows = answer["value"].as_array().map_or(1, Vec::len);
        anyhow::ensure!(rows == self.rows, "{}: {rows} rows, not {}", self.name, self.rows);
        Ok(())
    }

    /// Runs the direct side, prepared once by its connection, and returns how many rows came.
    pub async fn direct(&self, connection: &mut PgConnection) -> Result<usize> {
        let query = sqlx::query(self.sql);
        let query = match self.parameters {
            Parameters::RecordId(id) => query.bind(id),
            Parameters::CompanyAndLimit(company, limit) => query.bind(company).bind(limit),
            Parameters::None => query,
        };
        let rows: Vec<PgRow> = query.fetch_all(connection).await?;
        Ok(rows.len().min(self.rows))
    }
}
