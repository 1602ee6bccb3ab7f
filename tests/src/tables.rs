//! What some tables of the demo model hold, read from the ERP by plain SQL: columns in the Web API's
//! names beside the SQL that gives their values. Written down here by hand, not taken from the
//! model, so that a mistake in the model or in its translation shows.

use std::cmp::Ordering;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::Erp;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, compared without regard to case.
    Text,
    /// A whole number.
    Integer,
    /// Exact digits.
    Decimal,
    /// A 64-bit number, which the platform knows as a decimal.
    Long,
    /// A calendar date; 1900-01-01 is none.
    Date,
    /// A moment; 1900-01-01 is none.
    Moment,
    /// A GUID.
    Guid,
    /// An option; these are the stored values of its members, in order.
    Choice(&'static [&'static str]),
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// In the Web API.
    pub name: &'static str,
    /// SQL over the table's sources.
    pub sql: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Entity set.
    pub set: &'static str,
    /// Logical name.
    pub logical: &'static str,
    /// The column that holds a row's GUID.
    pub id: &'static str,
    /// SQL of the record id.
    pub record_id: &'static str,
    /// SQL of the company.
    pub company: &'static str,
    /// What follows FROM.
    pub from: &'static str,
    /// All columns that are compared.
    pub columns: &'static [Column],
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// No value.
    Null,
    /// Text.
    Text(String),
    /// A whole number, or an option's value.
    Int(i64),
    /// A decimal, in units of 10⁻¹².
    Decimal(i128),
    /// A date or moment as ISO text of one length, so that it sorts as text.
    Time(String),
    /// A GUID.
    Guid(Uuid),
}

/// A row of a table, its cells in the order of the table's columns.
#[derive(Clone, Debug)]
pub struct Row {
    /// The ERP's number of the row.
    pub record_id: i64,
    /// The company's code.
    pub company: String,
    /// Values.
    pub cells: Vec<Cell>,
}

const NO_YES: Kind = Kind::Choice(&["0", "1"]);
const BLOCKED: Kind = Kind::Choice(&["0", "1", "2", "3", "4", "5"]);
const PARTY_TYPE: Kind = Kind::Choice(&["Organization", "Person", "LegalEntity"]);

const fn column(name: &'static str, sql: &'static str, kind: Kind) -> Column {
    Column { name, sql, kind }
}

/// Customers: five sources, two of them the same table.
pub const CUSTOMERS: Table = Table {
    set: "mserp_custcustomerv3entities",
    logical: "mserp_custcustomerv3entity",
    id: "mserp_custcustomerv3entityid",
    record_id: "c.recid",
    company: "c.dataareaid",
    from: "erp.custtable c JOIN erp.dirpartytable p ON p.recid = c.party
        LEFT JOIN erp.logisticspostaladdress a ON a.recid = p.primarypostaladdress
        LEFT JOIN erp.logisticselectronicaddress e ON e.recid = p.primaryemail
        LEFT JOIN erp.logisticselectronicaddress t ON t.recid = p.primaryphone",
    columns: &[
        column("mserp_dataareaid", "c.dataareaid", Kind::Text),
        column("mserp_customeraccount", "c.accountnum", Kind::Text),
        column("mserp_organizationname", "p.name", Kind::Text),
        column("mserp_partytype", "p.partytype", PARTY_TYPE),
        column("mserp_partynumber", "p.partynumber", Kind::Text),
        column("mserp_customergroupid", "c.custgroup", Kind::Text),
        column("mserp_paymentterms", "c.paymtermid", Kind::Text),
        column("mserp_invoiceaccount", "c.invoiceaccount", Kind::Text),
        column("mserp_onholdstatus", "c.blocked", BLOCKED),
        column("mserp_creditlimit", "c.creditmax", Kind::Decimal),
        column("mserp_creditrating", "c.creditrating", Kind::Text),
        column("mserp_creditreviewdate", "c.creditreviewdate", Kind::Date),
        column("mserp_creditreviewintervaldays", "c.creditreviewdays", Kind::Integer),
        column("mserp_isonetimecustomer", "c.onetimecustomer", NO_YES),
        column("mserp_notes", "c.memo", Kind::Text),
        column("mserp_externalid", "c.externalid", Kind::Guid),
        column("mserp_addressstreet", "a.street", Kind::Text),
        column("mserp_addresscity", "a.city", Kind::Text),
        column("mserp_addresscountryregionid", "a.countryregionid", Kind::Text),
        column("mserp_primarycontactemail", "e.locator", Kind::Text),
        column("mserp_primarycontactphone", "t.locator", Kind::Text),
        column("mserp_partyrecordid", "c.party", Kind::Long),
        column("mserp_createddatetime", "c.createddatetime", Kind::Moment),
        column("mserp_modifieddatetime", "c.modifieddatetime", Kind::Moment),
        column("mserp_recordversion", "c.recversion", Kind::Integer),
    ],
};

/// Released products: views, prices that may be missing, a computed column.
pub const PRODUCTS: Table = Table {
    set: "mserp_ecoresreleasedproductv2entities",
    logical: "mserp_ecoresreleasedproductv2entity",
    id: "mserp_ecoresreleasedproductv2entityid",
    record_id: "i.recid",
    company: "i.dataareaid",
    from: "erp.inventtable i JOIN erp.ecoresproduct p ON p.recid = i.product
        LEFT JOIN erp.ecoresproducttranslation n ON n.product = p.recid AND n.languageid = p.systemlanguage
        LEFT JOIN erp.inventtablemodule s
            ON s.dataareaid = i.dataareaid AND s.itemid = i.itemid AND s.moduletype = 2
        LEFT JOIN erp.inventtablemodule b
            ON b.dataareaid = i.dataareaid AND b.itemid = i.itemid AND b.moduletype = 1",
    columns: &[
        column("mserp_dataareaid", "i.dataareaid", Kind::Text),
        column("mserp_itemnumber", "i.itemid", Kind::Text),
        column("mserp_productname", "n.name", Kind::Text),
        column("mserp_producttype", "p.producttype", Kind::Choice(&["1", "2"])),
        column("mserp_netproductweight", "i.netweight", Kind::Decimal),
        column("mserp_isstoppedforsales", "i.stoppedforsales", NO_YES),
        column("mserp_salesprice", "s.price", Kind::Decimal),
        column("mserp_salespricedate", "s.pricedate", Kind::Date),
        column("mserp_salesunitsymbol", "s.unitid", Kind::Text),
        column("mserp_purchaseprice", "b.price", Kind::Decimal),
        column("mserp_salesmargin", "s.price - b.price", Kind::Decimal),
    ],
};

/// Agreed prices: a key that holds a date, two dates of which one may mean "none".
pub const AGREEMENTS: Table = Table {
    set: "mserp_salespriceagreemententities",
    logical: "mserp_salespriceagreemententity",
    id: "mserp_salespriceagreemententityid",
    record_id: "g.recid",
    company: "g.dataareaid",
    from: "erp.pricedisctable g
        JOIN erp.custtable c ON c.dataareaid = g.dataareaid AND c.accountnum = g.accountrelation
        JOIN erp.dirpartytable p ON p.recid = c.party",
    columns: &[
        column("mserp_dataareaid", "g.dataareaid", Kind::Text),
        column("mserp_itemnumber", "g.itemrelation", Kind::Text),
        column("mserp_pricecustomeraccountnumber", "g.accountrelation", Kind::Text),
        column("mserp_pricecustomername", "p.name", Kind::Text),
        column("mserp_priceapplicablefromdate", "g.fromdate", Kind::Date),
        column("mserp_priceapplicabletodate", "g.todate", Kind::Date),
        column("mserp_fromquantity", "g.quantityamountfrom", Kind::Decimal),
        column("mserp_price", "g.amount", Kind::Decimal),
    ],
};

/// Products of all companies: an enum that is stored as a boolean, a GUID, no company.
pub const SHARED_PRODUCTS: Table = Table {
    set: "mserp_ecoresproductv2entities",
    logical: "mserp_ecoresproductv2entity",
    id: "mserp_ecoresproductv2entityid",
    record_id: "p.recid",
    company: "''",
    from: "erp.ecoresproduct p
        LEFT JOIN erp.ecoresproducttranslation n ON n.product = p.recid AND n.languageid = p.systemlanguage",
    columns: &[
        column("mserp_productnumber", "p.displayproductnumber", Kind::Text),
        column("mserp_productname", "n.name", Kind::Text),
        column("mserp_productdescription", "n.description", Kind::Text),
        column("mserp_producttype", "p.producttype", Kind::Choice(&["1", "2"])),
        column("mserp_isdiscontinued", "p.discontinued", Kind::Choice(&["false", "true"])),
        column("mserp_productkey", "p.productkey", Kind::Guid),
    ],
};

/// The tables above.
pub const ALL: [Table; 4] = [CUSTOMERS, PRODUCTS, AGREEMENTS, SHARED_PRODUCTS];

// === impl Table ===

impl Table {
    /// All rows in the order of their record ids.
    pub async fn rows(&self, erp: &Erp) -> Result<Vec<Row>> {
        let columns = self.columns.iter().map(|it| it.as_text()).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT ({})::bigint, {}, {columns} FROM {} ORDER BY 1",
            self.record_id, self.company, self.from
        );
        let mut connection = erp.connect().await?;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await?;
        rows.iter()
            .map(|row| {
                let cells = self.columns.iter().enumerate().map(|(at, column)| {
                    column.stored(row.try_get::<Option<String>, _>(at + 2)?.as_deref())
                });
                Ok(Row {
                    record_id: row.try_get(0)?,
                    company: row.try_get(1)?,
                    cells: cells.collect::<Result<_>>()?,
                })
            })
            .collect()
    }

    /// The position of a column.
    pub fn index(&self, name: &str) -> Result<usize> {
        let at = self.columns.iter().position(|it| it.name == name);
        at.with_context(|| format!("no column {name}"))
    }

    /// Names of all columns, for `$select`.
    #[must_use]
    pub fn select(&self) -> String {
        self.columns.iter().map(|it| it.name).collect::<Vec<_>>().join(",")
    }

    /// The record id of a row that the Web API answered, from its GUID.
    pub fn record_id_of(&self, row: &Value) -> Result<i64> {
        let text = row[self.id].as_str().with_context(|| format!("no {} in {row}", self.id))?;
        let id = Uuid::parse_str(text)?;
        let (_, zero, also_zero, record_id) = id.as_fields();
        let zeros = zero == 0 && also_zero == 0;
        anyhow::ensure!(zeros, "{text} is not laid out as a virtual table's row id");
        Ok(i64::from_le_bytes(*record_id))
    }

    /// The cells of a row that the Web API answered.
    pub fn answered(&self, row: &Value) -> Result<Vec<Cell>> {
        self.columns.iter().map(|it| it.answered(&row[it.name])).collect()
    }
}

// === impl Column ===

impl Column {
    fn as_text(&self) -> String {
        match self.kind {
            Kind::Moment => format!("to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')", self.sql),
            _ => format!("({})::text", self.sql),
        }
    }

    fn stored(&self, text: Option<&str>) -> Result<Cell> {
        let Some(text) = text else { return Ok(Cell::Null) };
        Ok(match self.kind {
            Kind::Text => Cell::Text(text.to_owned()),
            Kind::Integer => Cell::Int(text.parse()?),
            Kind::Decimal | Kind::Long => Cell::Decimal(decimal(text)?),
            Kind::Date | Kind::Moment if text.starts_with("1900-01-01") => Cell::Null,
            Kind::Date | Kind::Moment => Cell::Time(text.to_owned()),
            Kind::Guid => Cell::Guid(text.parse()?),
            Kind::Choice(members) => {
                let at = members.iter().position(|it| *it == text).context("not a member")?;
                Cell::Int(200_000_000 + at as i64)
            }
        })
    }

    fn answered(&self, value: &Value) -> Result<Cell> {
        let cell = match (self.kind, value) {
            (_, Value::Null) => Cell::Null,
            (Kind::Text, Value::String(text)) => Cell::Text(text.clone()),
            (Kind::Integer | Kind::Choice(_), Value::Number(number)) => {
                Cell::Int(number.as_i64().context("not an integer")?)
            }
            (Kind::Decimal | Kind::Long, Value::Number(number)) => {
                Cell::Decimal(answered_decimal(number)?)
            }
            (Kind::Date, Value::String(text)) => {
                let day = text.strip_suffix("T00:00:00Z").context("not a midnight")?;
                Cell::Time(day.to_owned())
            }
            (Kind::Moment, Value::String(text)) => {
                let moment = text.strip_suffix('Z').context("not UTC")?;
                let (seconds, fraction) = moment.split_once('.').unwrap_or((moment, ""));
                Cell::Time(format!("{seconds}.{fraction:0<6}"))
            }
            (Kind::Guid, Value::String(text)) => Cell::Guid(text.parse()?),
            (kind, value) => bail!("{}: {value} is not a {kind:?}", self.name),
        };
        Ok(cell)
    }
}

// === impl Cell ===

impl Cell {
    /// In the platform's order: null first, text without regard to case.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Text(left), Self::Text(right)) => left.to_lowercase().cmp(&right.to_lowercase()),
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Decimal(left), Self::Decimal(right)) => left.cmp(right),
            (Self::Time(left), Self::Time(right)) => left.cmp(right),
            (Self::Guid(left), Self::Guid(right)) => left.cmp(right),
            _ => Ordering::Equal,
        }
    }
}

/// What our JSON reader, which knows only binary fractions, made of a decimal. Numbers too large
/// for it are looked at digit by digit elsewhere.
fn answered_decimal(number: &serde_json::Number) -> Result<i128> {
    let text = number.to_string();
    match number.as_f64() {
        Some(huge) if huge.abs() > 1e24 => Ok(i128::MAX),
        Some(small) if text.contains('e') => decimal(&format!("{small:.12}")),
        _ => decimal(&text),
    }
}

/// Decimal digits in units of 10⁻¹².
pub fn decimal(text: &str) -> Result<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let rest = fraction.get(12..).unwrap_or_default();
    anyhow::ensure!(rest.bytes().all(|it| it == b'0'), "{text} has too many digits");
    let fraction = fraction.get(..12).unwrap_or(fraction);
    Ok(sign * format!("{whole}{fraction:0<12}").parse::<i128>()?)
}
