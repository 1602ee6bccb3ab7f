//! Maps and their states.

use anyhow::Result;
use proto::dual_write::v1::{self as pb, MapRelation, MapState};

use super::{DualWrite, map_name, map_names, values};
use crate::cli::{PauseArgs, ResumeArgs, StartArgs, StopArgs};
use crate::client::{self, PAGE_SIZE, explain};
use crate::exit::{Exit, Failure};
use crate::names::resource;
use crate::print::{Shown, Table, plain, properties, span, when, word};
use crate::system::told;

/// What a start takes along, and what a pause.
const FOR_START: (MapRelation, MapState) = (MapRelation::Needed, MapState::NotRunning);
const FOR_PAUSE: (MapRelation, MapState) = (MapRelation::Needing, MapState::Running);

impl DualWrite {
    pub(super) async fn list(&self) -> Result<()> {
        let mut client = self.system.maps();
        let maps = client::every(async |page_token| {
            let request =
                pb::ListMapsRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
            let page = client.list_maps(request).await?.into_inner();
            Ok((page.maps, page.next_page_token))
        });
        self.table(&maps.await?)
    }

    fn table(&self, maps: &[pb::TableMap]) -> Result<()> {
        self.output.list(maps, || table(maps))
    }

    pub(super) async fn map(&self, map: &str) -> Result<pb::TableMap> {
        let request = pb::GetMapRequest { name: map_name(map) };
        let answer = self.system.maps().get_map(request).await.map_err(explain)?;
        told(answer.into_inner().map)
    }

    pub(super) async fn version(&self, name: &str) -> Result<pb::MapVersion> {
        let request = pb::GetMapVersionRequest { name: name.to_owned() };
        let answer = self.system.maps().get_map_version(request).await.map_err(explain)?;
        told(answer.into_inner().version)
    }

    pub(super) async fn show(&self, map: &str) -> Result<()> {
        let map = self.map(map).await?;
        let version = self.version(&map.active_version).await?;
        self.output.one(&map, || format!("{}\n{}", shown(&map, &version), fields(&version)))
    }

    pub(super) async fn validate(&self, map: &str) -> Result<()> {
        let map = self.map(map).await?;
        let version = Some(self.version(&map.active_version).await?);
        let request = pb::ValidateMapVersionRequest { parent: map.name, version };
        let answer = self.system.maps().validate_map_version(request).await.map_err(explain)?;
        let issues = answer.into_inner().issues;
        self.output.list(&issues, || {
            Table::new(&["CODE", "SIDE", "FIELD", "MESSAGE"]).rows(issues.iter().map(|it| {
                let side = word::<pb::Side>(it.side);
                vec![it.code.clone(), side, it.field.clone(), it.message.clone()]
            }))
        })?;
        match issues.iter().filter(|it| !it.warning).count() {
            0 => Ok(()),
            wrong => {
                Err(Failure::of(Exit::Refused, format!("{wrong} findings keep it from starting")))
            }
        }
    }

    pub(super) async fn test_filters(
        &self,
        map: &str,
        source_filter: Option<String>,
        reversed_source_filter: Option<String>,
    ) -> Result<()> {
        let map = self.map(map).await?;
        let version = self.version(&map.active_version).await?;
        let request = pb::TestFiltersRequest {
            parent: map.name,
            source_filter: source_filter.unwrap_or(version.source_filter),
            reversed_source_filter: reversed_source_filter
                .unwrap_or(version.reversed_source_filter),
        };
        let answer = self.system.maps().test_filters(request).await.map_err(explain)?;
        let tests = answer.into_inner().tests;
        let for_programs = || tests.iter().map(Shown::json).collect();
        self.output.value(for_programs, || {
            let head = ["SIDE", "ROWS", "MATCHING", "UNDERSTOOD AS"];
            let table = Table::new(&head).numbers(&[1, 2]).rows(tests.iter().map(|it| {
                let (all, matching) = (it.row_count.to_string(), it.matching_row_count.to_string());
                vec![word::<pb::Side>(it.side), all, matching, it.canonical_filter.clone()]
            }));
            let statements: String = tests.iter().map(statement).collect();
            format!("{table}{statements}")
        })
    }

    pub(super) async fn activate(&self, version: &str) -> Result<()> {
        let name = resource("maps", version);
        let etag = String::new();
        let idempotency_key = self.write.key();
        let request = pb::ActivateMapVersionRequest { name, etag, idempotency_key };
        let answer = self.system.maps().activate_map_version(request).await.map_err(explain)?;
        let map = told(answer.into_inner().map)?;
        self.table(&[map])
    }

    pub(super) async fn start(&self, args: StartArgs) -> Result<()> {
        let mut names = map_names(&args.maps);
        if args.related {
            names = self.with_related(names, FOR_START).await?;
        }
        let start = |name| pb::MapStart {
            name,
            skip_initial_sync: args.skip_initial_sync,
            initial_sync_master: args.master.map_or(0, Into::into),
        };
        let request = pb::StartMapsRequest {
            starts: names.into_iter().map(start).collect(),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.maps().start_maps(request).await.map_err(explain)?.into_inner();
        if answer.initial_syncs.is_empty() || self.write.no_wait {
            return self.table(&answer.maps);
        }
        self.follow(answer.initial_syncs).await
    }

    pub(super) async fn related(&self, map: &str, pause: bool) -> Result<()> {
        let (relation, _) = if pause { FOR_PAUSE } else { FOR_START };
        self.table(&self.related_maps(&map_name(map), relation).await?)
    }

    async fn related_maps(&self, map: &str, relation: MapRelation) -> Result<Vec<pb::TableMap>> {
        let mut client = self.system.maps();
        client::every(async |page_token| {
            let (parent, page_size, relation) = (map.to_owned(), PAGE_SIZE, relation.into());
            let request = pb::ListRelatedMapsRequest { parent, page_size, page_token, relation };
            let page = client.list_related_maps(request).await?.into_inner();
            Ok((page.maps, page.next_page_token))
        })
        .await
    }

    /// The maps and, before each, those that are related to it and in a state in which they can be taken
    /// along.
    async fn with_related(
        &self,
        names: Vec<String>,
        (relation, state): (MapRelation, MapState),
    ) -> Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        for name in names {
            let related = self.related_maps(&name, relation).await?.into_iter();
            let related = related.filter(|it| it.state() == state);
            for name in related.map(|it| it.name).chain([name]) {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        Ok(all)
    }

    pub(super) async fn pause(&self, args: PauseArgs) -> Result<()> {
        let mut names = map_names(&args.maps);
        if args.related {
            names = self.with_related(names, FOR_PAUSE).await?;
        }
        let idempotency_key = self.write.key();
        let request = pb::PauseMapsRequest { names, idempotency_key };
        let answer = self.system.maps().pause_maps(request).await.map_err(explain)?;
        self.table(&answer.into_inner().maps)
    }

    pub(super) async fn resume(&self, args: ResumeArgs) -> Result<()> {
        let request = pb::ResumeMapsRequest {
            names: map_names(&args.maps),
            mode: args.mode.into(),
            acknowledged: args.agree,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.maps().resume_maps(request).await.map_err(explain)?;
        self.table(&answer.into_inner().maps)
    }

    pub(super) async fn stop(&self, args: StopArgs) -> Result<()> {
        let request = pb::StopMapsRequest {
            names: map_names(&args.maps),
            force: args.force,
            acknowledged: args.agree,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.maps().stop_maps(request).await.map_err(explain)?;
        self.table(&answer.into_inner().maps)
    }
}

pub(super) fn table(maps: &[pb::TableMap]) -> Table {
    let head = ["MAP", "STATE", "VERSION", "ENTITY", "TABLE", "QUEUED", "FAILED", "LAST ERROR"];
    Table::new(&head).numbers(&[5, 6]).rows(maps.iter().map(|it| {
        let counters = it.counters.unwrap_or_default();
        vec![
            plain(&it.name).to_owned(),
            word::<pb::MapState>(it.state),
            plain(&it.active_version).to_owned(),
            it.finance_and_operations_entity.clone(),
            it.platform_table.clone(),
            counters.queued_record_count.to_string(),
            counters.catch_up_error_count.to_string(),
            values::error(it.last_error.as_ref()),
        ]
    }))
}

fn shown(it: &pb::TableMap, version: &pb::MapVersion) -> String {
    let counters = it.counters.unwrap_or_default();
    let lag = |it: Option<prost_types::Duration>| it.map(span).unwrap_or_default();
    let solutions = version.required_solutions.iter();
    let solutions = solutions.map(|it| format!("{} {}", it.solution_name, it.version));
    let solutions: Vec<String> = solutions.collect();
    properties(&[
        ("map", plain(&it.name).to_owned()),
        ("name", it.display_name.clone()),
        ("state", word::<pb::MapState>(it.state)),
        ("since", when(it.state_change_time.as_ref())),
        ("version", plain(&it.active_version).to_owned()),
        ("entity", it.finance_and_operations_entity.clone()),
        ("table", it.platform_table.clone()),
        ("mode", word::<pb::SyncMode>(it.sync_mode)),
        ("wins conflicts", word::<pb::Side>(it.primary_side)),
        ("filter", version.source_filter.clone()),
        ("reversed filter", version.reversed_source_filter.clone()),
        ("integration key", version.integration_key.join(", ")),
        ("needs", version.required_maps.iter().map(|it| plain(it)).collect::<Vec<_>>().join(", ")),
        ("needs solutions", solutions.join(", ")),
        ("queued", counters.queued_record_count.to_string()),
        ("failed", counters.catch_up_error_count.to_string()),
        ("skipped", counters.skipped_change_count.to_string()),
        ("rows to platform", counters.to_platform_count.to_string()),
        ("rows to the ERP", counters.to_finance_and_operations_count.to_string()),
        ("lag to platform", lag(counters.to_platform_lag)),
        ("lag to the ERP", lag(counters.to_finance_and_operations_lag)),
        ("heartbeat to platform", when(counters.to_platform_heartbeat_time.as_ref())),
        ("heartbeat to the ERP", when(counters.to_finance_and_operations_heartbeat_time.as_ref())),
        ("last error", values::error(it.last_error.as_ref())),
    ])
}

/// The statement of a filter, with what is bound to it.
fn statement(test: &pb::FilterTest) -> String {
    let Some(it) = &test.statement else { return String::new() };
    let bound = it.arguments.iter().zip(1..).map(|(value, at)| format!("  ${at} = {value}\n"));
    let notes = it.notes.iter().map(|it| format!("  {it}\n"));
    let rest: String = bound.chain(notes).collect();
    format!("\n{}:\n{}\n{rest}", word::<pb::Side>(test.side), it.sql)
}

/// With the symbols that people know.
fn fields(version: &pb::MapVersion) -> Table {
    Table::new(&["FIELD", "", "COLUMN", "TRANSFORMS"]).rows(version.field_maps.iter().map(|it| {
        let or_none =
            |name: &str| if name.is_empty() { "none".to_owned() } else { name.to_owned() };
        let symbol = match it.map_type() {
            pb::MapType::Equal => "=",
            pb::MapType::TransformBoth => "><",
            pb::MapType::ToPlatform => ">",
            pb::MapType::TransformToPlatform => ">>",
            pb::MapType::ToFinanceAndOperations => "<",
            pb::MapType::TransformToFinanceAndOperations => "<<",
            pb::MapType::Unspecified => "?",
        };
        let transforms = it.transforms.iter().map(transform).collect::<Vec<_>>().join("; ");
        let field = or_none(&it.finance_and_operations_field);
        vec![field, symbol.to_owned(), or_none(&it.platform_column), transforms]
    }))
}

fn transform(it: &pb::Transform) -> String {
    use pb::transform::Kind;
    match &it.kind {
        Some(Kind::DefaultValue(it)) => format!("default {}", values::text(it.value.as_ref())),
        Some(Kind::ValueMap(it)) => {
            let pairs = it.pairs.iter().map(|it| {
                let (erp, platform) = (
                    values::text(it.finance_and_operations_value.as_ref()),
                    values::text(it.platform_value.as_ref()),
                );
                format!("{erp}: {}", if platform.is_empty() { "null" } else { &platform })
            });
            pairs.collect::<Vec<_>>().join(", ")
        }
        Some(Kind::Truncate(it)) => format!("truncate to {}", it.max_length),
        None => String::new(),
    }
}
