//! What both sides say about themselves.

use std::time::Duration;

use proto::dual_write::v1::Side;
use proto::organization::v1::GetOrganizationRequest;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::query::v1::value::Kind;
use proto::query::v1::{
    CaptureGap, Image, ImageKey, ImageSelection, ListConfiguredMapsRequest, MapSide,
    ReadImagesRequest, Value,
};
use tonic::Status;

use crate::core::Core;
use crate::map::schema::{COMPANY_CODE, COMPANY_TABLE, TableSchema};
use crate::peers::asked;
use crate::store::links::Teams;

/// The ERP's list of legal entities, where its model has one.
const LEGAL_ENTITIES: &str = "CompanyInfoEntity";
const OWNING_TEAM: &str = "cdm_defaultowningteam";
const TEAM_NAME: &str = "name";
/// Teams that may not own rows, and why.
const GAPS: &str = "tombolo_teamgap";
const GAP_COLUMNS: [&str; 4] =
    ["tombolo_name", "tombolo_missingroles", "tombolo_unreadtables", "tombolo_ownsglobalrows"];
const PAGE: i32 = 1_000;
/// More companies than any link takes.
const MOST_PAGES: usize = 10;
const ANSWER: Duration = Duration::from_secs(10);

/// A legal entity of a side.
#[derive(Clone, Debug)]
pub(crate) struct Company {
    pub(crate) code: String,
    /// Name of its default owning team.
    pub(super) team: Option<String>,
    /// The side knows owning teams, and this company has none.
    pub(crate) lacks_team: bool,
}

/// A team that may not own rows of some tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gap {
    pub(crate) team: String,
    /// Its 16 bytes.
    pub(crate) team_id: Vec<u8>,
    /// That every team lacks which is to own rows; then it owns none.
    pub(crate) roles: Option<String>,
    /// Tables that none of its roles reads.
    pub(crate) unread: Vec<String>,
    /// Rows without company are its own, where no other team is named.
    pub(crate) owns_global_rows: bool,
}

/// What a side holds of maps, and what of their tables it does not capture.
#[derive(Debug, Default)]
pub(crate) struct Configured {
    pub(super) maps: Vec<MapSide>,
    pub(super) gaps: Vec<CaptureGap>,
}

/// What was looked for.
#[derive(Debug)]
pub(crate) enum Found<T> {
    Some(T),
    /// The side has no such thing.
    Unknown,
    Failed(String),
}

/// What both sides said.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(super) configured: [(Side, Result<Configured, String>); 2],
    erp_companies: Found<Vec<Company>>,
    platform_companies: Found<Vec<Company>>,
    pub(super) gaps: Found<Vec<Gap>>,
}

/// Asks both sides.
pub(crate) async fn look(core: &Core) -> Seen {
    let (erp, platform) = (Side::FinanceAndOperations, Side::Platform);
    let (erp_maps, platform_maps, erp_companies, platform_companies, gaps) = tokio::join!(
        within(configured(core, erp)),
        within(configured(core, platform)),
        companies(core, erp),
        companies(core, platform),
        gaps(core),
    );
    Seen {
        configured: [(erp, told(erp_maps)), (platform, told(platform_maps))],
        erp_companies,
        platform_companies,
        gaps,
    }
}

// === impl Seen ===

impl Seen {
    pub(super) fn configured(&self, side: Side) -> &Result<Configured, String> {
        let [erp, platform] = &self.configured;
        if side == Side::FinanceAndOperations { &erp.1 } else { &platform.1 }
    }

    pub(super) fn companies(&self, side: Side) -> &Found<Vec<Company>> {
        match side {
            Side::FinanceAndOperations => &self.erp_companies,
            Side::Platform | Side::Unspecified => &self.platform_companies,
        }
    }

    /// Names of default teams, by company.
    pub(super) fn teams(&self) -> Teams {
        let Found::Some(companies) = &self.platform_companies else { return Teams::new() };
        let named = companies.iter().filter_map(|it| Some((it.code.clone(), it.team.clone()?)));
        named.collect()
    }
}

async fn configured(core: &Core, side: Side) -> Result<Configured, Status> {
    let mut client = core.sides.of(side).sharing();
    let (mut found, mut page_token) = (Configured::default(), String::new());
    loop {
        let request = ListConfiguredMapsRequest { page_size: PAGE, page_token };
        let answer = client.list_configured_maps(asked(request)).await?.into_inner();
        found.maps.extend(answer.map_sides);
        found.gaps.extend(answer.capture_gaps);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

pub(super) async fn organization(core: &Core) -> Result<String, Status> {
    let mut client = OrganizationServiceClient::new(core.clients.organization.clone());
    let answer = client.get_organization(asked(GetOrganizationRequest {})).await?;
    Ok(answer.into_inner().organization_id)
}

async fn companies(core: &Core, side: Side) -> Found<Vec<Company>> {
    let Ok(schemas) = core.maps.tables().get() else {
        return Found::Failed("its tables have not arrived yet".to_owned());
    };
    let name = if side == Side::Platform { COMPANY_TABLE } else { LEGAL_ENTITIES };
    let Some(table) = schemas.get(side, name) else { return Found::Unknown };
    let Some(selection) = selection(table) else { return Found::Unknown };
    match within(read(core, side, &selection)).await {
        Ok(images) => Found::Some(images.iter().map(|it| company(it, &selection)).collect()),
        Err(status) => Found::Failed(status.message().to_owned()),
    }
}

async fn gaps(core: &Core) -> Found<Vec<Gap>> {
    let Ok(schemas) = core.maps.tables().get() else {
        return Found::Failed("its tables have not arrived yet".to_owned());
    };
    if schemas.get(Side::Platform, GAPS).is_none() {
        return Found::Unknown;
    }
    let selection = MapSide {
        entity_name: GAPS.to_owned(),
        columns: GAP_COLUMNS.map(str::to_owned).to_vec(),
        key_columns: vec![0],
        ..MapSide::default()
    };
    match within(read(core, Side::Platform, &selection)).await {
        Ok(images) => Found::Some(images.iter().map(gap).collect()),
        Err(status) => Found::Failed(status.message().to_owned()),
    }
}

fn gap(image: &Image) -> Gap {
    let value = |it: usize| image.values.get(it);
    let unread = value(2).and_then(text).unwrap_or_default();
    let unread = unread.split(", ").filter(|it| !it.is_empty());
    Gap {
        team: value(0).and_then(text).unwrap_or_default(),
        team_id: image.record_id.to_vec(),
        roles: value(1).and_then(text),
        unread: unread.map(str::to_owned).collect(),
        owns_global_rows: value(3).is_some_and(|it| it.kind == Some(Kind::BoolValue(true))),
    }
}

/// Codes, and the names of owning teams where there are any.
fn selection(table: &TableSchema) -> Option<MapSide> {
    let code = match table.side {
        Side::Platform => COMPANY_CODE.to_owned(),
        Side::FinanceAndOperations | Side::Unspecified => table.keys.first()?.1.first()?.clone(),
    };
    let mut columns = vec![code];
    if let Some(team) = table.column(OWNING_TEAM) {
        let name = format!("{}.{TEAM_NAME}", team.name);
        columns.push(if team.lookup_target.is_some() { name } else { team.name.clone() });
    }
    let entity_name = table.name.clone();
    Some(MapSide { entity_name, columns, key_columns: vec![0], ..MapSide::default() })
}

async fn read(core: &Core, side: Side, map_side: &MapSide) -> Result<Vec<Image>, Status> {
    let mut client = core.sides.of(side).sharing();
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let selection =
            ImageSelection { map_side: Some(map_side.clone()), ..ImageSelection::default() };
        let request =
            ReadImagesRequest { selection: Some(selection), page_size: PAGE, after, until: None };
        let answer = client.read_images(asked(request)).await?.into_inner();
        let last = answer.images.last();
        after = last
            .and_then(|it| it.values.first())
            .map(|it| ImageKey { company: String::new(), values: vec![it.clone()] });
        found.extend(answer.images);
        if !answer.more {
            break;
        }
    }
    Ok(found)
}

fn company(image: &Image, selection: &MapSide) -> Company {
    let team = image.values.get(1).and_then(text);
    Company {
        code: image.values.first().and_then(text).unwrap_or_default(),
        lacks_team: selection.columns.len() > 1 && team.is_none(),
        team,
    }
}

fn text(value: &Value) -> Option<String> {
    match value.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        Kind::GuidValue(bytes) => uuid::Uuid::from_slice(bytes).ok().map(|it| it.to_string()),
        _ => None,
    }
}

async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let answered = tokio::time::timeout(ANSWER, call).await;
    answered.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
}

fn told<T>(answer: Result<T, Status>) -> Result<T, String> {
    answer.map_err(|it| it.message().to_owned())
}
