//! One `tombolo dev` over one demo ERP, which many cases share.

use anyhow::Result;
use tempfile::TempDir;
use tests::collector::Collector;
use tests::tables::{Row, Table};
use tests::{Erp, Start, System, Web};

/// More than a page of the default size could hold were it smaller, few enough to be quick.
pub(crate) const CUSTOMERS: u64 = 1_500;

/// Customers that no generator makes: values at the limits of their types.
const ODD_CUSTOMERS: &str = r"
    WITH party AS (INSERT INTO erp.dirpartytable (name) VALUES
        (E'Quote '' and \\ and <&> and \t tab'), ('zebra'), ('Zebra'), ('ZEBRA'), ('Ünïcödé 日本語 🦓'), (E'two\nlines')
        RETURNING recid, name)
    INSERT INTO erp.custtable (dataareaid, accountnum, party, custgroup, creditmax, memo, creditreviewdate)
    SELECT 'USMF', 'ODD-' || row_number() OVER (ORDER BY recid), recid, '10',
           CASE name WHEN 'zebra' THEN 12345678901234567890123456.123456 WHEN 'Zebra' THEN 0.000001 ELSE 0.1 END,
           name, CASE name WHEN 'zebra' THEN date '9999-12-31' WHEN 'ZEBRA' THEN date '1900-01-02' ELSE '1900-01-01' END
    FROM party";

pub(crate) type Case = tests::runner::Case<World>;

pub(crate) struct World {
    pub(crate) erp: Erp,
    pub(crate) system: System,
    pub(crate) collector: Collector,
    /// As `admin`, `usmf-clerk` and `demf-reader`.
    pub(crate) admin: Web,
    pub(crate) clerk: Web,
    pub(crate) reader: Web,
    data: TempDir,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let erp = Erp::demo(CUSTOMERS).await?;
        erp.execute(ODD_CUSTOMERS).await?;
        let collector = Collector::start().await?;
        let data = tests::temporary_directory()?;
        let start = Start::dev(data.path())
            .over(&erp.url().await?, &erp.model())
            .arg("--sample-data")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
        let system = System::start(&start).await?;
        Ok(Self {
            admin: system.web("admin").await?,
            clerk: system.web("usmf-clerk").await?,
            reader: system.web("demf-reader").await?,
            erp,
            system,
            collector,
            data,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.system.stop().await?;
        self.erp.stop().await?;
        Ok(self.data.close()?)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) async fn rows(&self, table: &Table) -> Result<Vec<Row>> {
        table.rows(&self.erp).await
    }
}
