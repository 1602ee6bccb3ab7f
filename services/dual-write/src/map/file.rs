//! A map as a file: shipped ones as TOML, those of solutions as JSON, transforms as the original writes
//! them (spec A8.2).

use std::collections::BTreeMap;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::MapType;
use proto::dual_write::v1::transform::Kind as Written;
use proto::query::v1::Value;
use proto::query::v1::value::Kind as Content;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::value;

/// What a file of a map says, beside who published which version of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct MapFile {
    pub(crate) display_name: String,
    pub(crate) entity: String,
    pub(crate) table: String,
    pub(crate) company_specific: bool,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(flatten)]
    pub(crate) body: Body,
}

/// What makes two definitions the same.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Body {
    #[serde(default)]
    source_filter: String,
    #[serde(default)]
    reversed_source_filter: String,
    #[serde(default)]
    integration_key: Vec<String>,
    #[serde(default)]
    required_maps: Vec<String>,
    #[serde(default)]
    fields: Vec<FieldFile>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct FieldFile {
    #[serde(default, skip_serializing_if = "is_nothing")]
    field: String,
    map: String,
    #[serde(default, skip_serializing_if = "is_nothing")]
    column: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    transforms: Vec<TransformFile>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "transformType", rename_all_fields = "camelCase", deny_unknown_fields)]
enum TransformFile {
    Default {
        default_value: Scalar,
    },
    /// By the ERP's value; empty text stands for none.
    ValueMap {
        value_map: BTreeMap<String, Option<Scalar>>,
    },
    Truncate {
        max_length: i32,
    },
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Scalar {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

/// Why a file of a map is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FileError {
    #[error("`{0}` is no map type; they are =, ><, >, >>, < and <<")]
    MapType(String),
    #[error("{0}")]
    Syntax(String),
}

impl MapFile {
    pub(crate) fn of(map: &pb::TableMap, version: &pb::MapVersion) -> Self {
        Self {
            display_name: map.display_name.clone(),
            entity: map.finance_and_operations_entity.clone(),
            table: map.platform_table.clone(),
            company_specific: map.company_specific,
            description: version.description.clone(),
            body: Body::of(version),
        }
    }

    /// The map of that id, and its version.
    ///
    /// # Errors
    ///
    /// When it has a map type that there is not.
    pub(crate) fn read(
        self,
        id: &str,
        version: &str,
        publisher: &str,
    ) -> Result<(pb::TableMap, pb::MapVersion), FileError> {
        let name = format!("maps/{id}");
        let map = pb::TableMap {
            name: name.clone(),
            display_name: self.display_name,
            finance_and_operations_entity: self.entity,
            platform_table: self.table,
            company_specific: self.company_specific,
            ..pb::TableMap::default()
        };
        let hash = self.body.hash();
        let fields = self.body.fields.into_iter().map(FieldFile::read);
        let version = pb::MapVersion {
            name: version_name(&name, version, publisher),
            version: version.to_owned(),
            publisher: publisher.to_owned(),
            description: self.description,
            field_maps: fields.collect::<Result<_, _>>()?,
            source_filter: self.body.source_filter,
            reversed_source_filter: self.body.reversed_source_filter,
            integration_key: self.body.integration_key,
            required_maps: self.body.required_maps,
            content_hash: hash,
            create_time: None,
            required_solutions: Vec::new(),
        };
        Ok((map, version))
    }
}

/// `maps/customers-v3-accounts/versions/1.0.0.5-contoso`
pub(crate) fn version_name(map: &str, version: &str, publisher: &str) -> String {
    let slug: String = publisher
        .trim()
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("{map}/versions/{version}-{slug}")
}

/// SHA-256 of a definition, in hex: the same for all who publish it.
pub(crate) fn content_hash(version: &pb::MapVersion) -> String {
    Body::of(version).hash()
}

impl Body {
    fn of(version: &pb::MapVersion) -> Self {
        Self {
            source_filter: version.source_filter.clone(),
            reversed_source_filter: version.reversed_source_filter.clone(),
            integration_key: version.integration_key.clone(),
            required_maps: version.required_maps.clone(),
            fields: version.field_maps.iter().map(FieldFile::of).collect(),
        }
    }

    fn hash(&self) -> String {
        let written = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(written).iter().map(|it| format!("{it:02x}")).collect()
    }
}

impl FieldFile {
    fn of(row: &pb::FieldMap) -> Self {
        Self {
            field: row.finance_and_operations_field.clone(),
            map: symbol(row.map_type()).to_owned(),
            column: row.platform_column.clone(),
            transforms: row.transforms.iter().filter_map(TransformFile::of).collect(),
        }
    }

    fn read(self) -> Result<pb::FieldMap, FileError> {
        let none = |it: String| if it == "none" { String::new() } else { it };
        let map_type = map_type(&self.map).ok_or(FileError::MapType(self.map))?;
        Ok(pb::FieldMap {
            finance_and_operations_field: none(self.field),
            platform_column: none(self.column),
            map_type: map_type.into(),
            transforms: self.transforms.into_iter().map(TransformFile::read).collect(),
        })
    }
}

impl TransformFile {
    fn of(transform: &pb::Transform) -> Option<Self> {
        Some(match transform.kind.as_ref()? {
            Written::DefaultValue(it) => Self::Default {
                default_value: it
                    .value
                    .as_ref()
                    .and_then(Scalar::of)
                    .unwrap_or(Scalar::Text(String::new())),
            },
            Written::ValueMap(it) => {
                let pair = |it: &pb::ValuePair| {
                    let erp = it.finance_and_operations_value.as_ref();
                    let platform = it.platform_value.as_ref().and_then(Scalar::of);
                    (erp.map(value::display).unwrap_or_default(), platform)
                };
                Self::ValueMap { value_map: it.pairs.iter().map(pair).collect() }
            }
            Written::Truncate(it) => Self::Truncate { max_length: it.max_length },
        })
    }

    fn read(self) -> pb::Transform {
        let kind = match self {
            Self::Default { default_value } => {
                Written::DefaultValue(pb::DefaultTransform { value: Some(default_value.read()) })
            }
            Self::ValueMap { value_map } => {
                let pair = |(erp, platform): (String, Option<Scalar>)| pb::ValuePair {
                    finance_and_operations_value: Some(match erp.is_empty() {
                        true => value::null(),
                        false => value::text(erp),
                    }),
                    platform_value: Some(platform.map_or_else(value::null, Scalar::read)),
                };
                let pairs = value_map.into_iter().map(pair).collect();
                Written::ValueMap(pb::ValueMapTransform { pairs })
            }
            Self::Truncate { max_length } => {
                Written::Truncate(pb::TruncateTransform { max_length })
            }
        };
        pb::Transform { kind: Some(kind) }
    }
}

impl Scalar {
    fn of(value: &Value) -> Option<Self> {
        Some(match value.kind.as_ref()? {
            Content::NullValue(_) => return None,
            Content::BoolValue(it) => Self::Boolean(*it),
            Content::Int64Value(it) => Self::Integer(*it),
            _ => Self::Text(value::display(value)),
        })
    }

    fn read(self) -> Value {
        match self {
            Self::Boolean(it) => value::of(Content::BoolValue(it)),
            Self::Integer(it) => value::of(Content::Int64Value(it)),
            Self::Text(it) => value::text(it),
        }
    }
}

/// As it is written in templates.
pub(crate) fn symbol(map_type: MapType) -> &'static str {
    match map_type {
        MapType::Unspecified => "",
        MapType::Equal => "=",
        MapType::TransformBoth => "><",
        MapType::ToPlatform => ">",
        MapType::TransformToPlatform => ">>",
        MapType::ToFinanceAndOperations => "<",
        MapType::TransformToFinanceAndOperations => "<<",
    }
}

fn map_type(symbol: &str) -> Option<MapType> {
    Some(match symbol {
        "=" => MapType::Equal,
        "><" => MapType::TransformBoth,
        ">" => MapType::ToPlatform,
        ">>" => MapType::TransformToPlatform,
        "<" => MapType::ToFinanceAndOperations,
        "<<" => MapType::TransformToFinanceAndOperations,
        _ => return None,
    })
}

fn is_nothing(it: &str) -> bool {
    it.is_empty()
}
