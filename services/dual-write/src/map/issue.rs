//! Findings about a map, with the codes and words that people look up (spec A12).

use proto::dual_write::v1::{Side, ValidationIssue};

/// A code, what it says, and whether the map may be saved all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    pub(crate) warning: bool,
}

macro_rules! findings {
    ($($name:ident = $code:literal $message:literal $($warning:ident)?;)*) => {
        $(pub(crate) const $name: Finding =
            Finding { code: $code, message: $message, warning: findings!(@ $($warning)?) };)*
        /// Every finding that there is.
        #[cfg(test)]
        pub(crate) const ALL: &[Finding] = &[$($name),*];
    };
    (@) => { false };
    (@ warning) => { true };
}

findings! {
    COMPANY_KINDS = "DIPV1002" "Dual-write only supports mapping between cross-company entities or company-specific entities from both sides";
    NO_KEY = "DIPV1003" "Integration keys are missing";
    KEY_ONE_WAY = "DIPV1004" "Integration key field isn't bi-directionally mapped";
    MANDATORY = "DIPV1010" "Mandatory field in destination entity must be mapped";
    READ_ONLY = "DIPV1011" "Readonly field in destination entity must not be mapped";
    PLATFORM_FILTER = "DIPV1012" "Error occurred while parsing Dataverse entity source filter";
    KEY_UNMAPPED = "DIPV1014" "Mapping is missing for integration key";
    KEY_LOOKUP_UNMAPPED = "DIPV1015" "Mapping is missing for integration key for lookup field";
    NO_COMPANY_TABLE = "DIPV1016" "Missing Organization mapping for destination entity";
    RELATED_COMPANY = "DIPV1017" "Missing Organization mapping for related entity";
    NO_SOURCE_SCHEMA = "DIPV1018" "Missing source schema";
    NO_VERSION = "DIPV1019" "Export can't be performed on the table due to the missing versionnumber field";
    NO_DESTINATION_SCHEMA = "DIPV1020" "Missing destination schema";
    NO_SOURCE = "DIPV1021" "Missing source field in the mapping";
    UNKNOWN_SOURCE = "DIPV1022" "Missing source field in the schema";
    SOURCE_TWICE = "DIPV1023" "Duplicate source fields";
    NO_DESTINATION = "DIPV1024" "Missing destination field in the mapping";
    UNKNOWN_DESTINATION = "DIPV1025" "Missing destination field in the schema";
    DESTINATION_TWICE = "DIPV1026" "Duplicate destination fields";
    LOOKUP_DESTINATION = "DIPV1027" "Map the integration key associated with the entity lookup field to the destination field";
    LOOKUP_SOURCE = "DIPV1028" "Map the integration key associated with the entity lookup field to the source field";
    VALUE_MAP_TWICE = "DIPV1029" "Duplicate value map";
    TYPES = "DIPV1030" "Data type mismatch";
    NO_DEFAULT = "DIPV1031" "Missing default transform for mandatory destination field";
    ENTITY_KEY = "TMBL1001" "The finance and operations key isn't mapped by the integration key, so that changes of the platform would find no row";
    PRECISION = "TMBL1002" "The destination keeps fewer digits after the point than the source; add a Truncate transform if they may be lost";
    FILTER_UNMAPPED = "TMBL1003" "The filter names a field that isn't in the map";
    COMPANY_MAPPED = "TMBL1004" "The company is mapped by itself and must not be in the map";
    PLAIN_TRANSFORM = "TMBL1005" "A field map without transforms has one; choose a map type that transforms";
    LENGTH = "TMBL1006" "The destination is shorter than the source; longer text will be refused" warning;
    MANY_LOOKUPS = "TMBL1007" "The original doesn't support 10 or more lookups in a map" warning;
    ERP_FILTER = "TMBL1008" "Error occurred while parsing finance and operations entity source filter";
    EMPTY = "TMBL1009" "The map has no field maps";
    NO_MAP_TYPE = "TMBL1010" "The map type is missing";
    LITERAL = "TMBL1011" "A value of a transform isn't one that the field can hold";
    PUBLISHER = "TMBL1012" "The version needs a publisher and four numbers, such as 1.0.0.5";
    SOLUTION = "TMBL1013" "A solution that the version needs isn't there, or is older";
}

impl Finding {
    /// About a side as a whole, or one of its columns.
    pub(crate) fn at(self, side: Side, field: &str) -> ValidationIssue {
        ValidationIssue {
            code: self.code.to_owned(),
            message: self.message.to_owned(),
            side: side.into(),
            field: field.to_owned(),
            warning: self.warning,
        }
    }

    /// The same with what is particular about it.
    pub(crate) fn because(self, side: Side, field: &str, why: &str) -> ValidationIssue {
        let mut issue = self.at(side, field);
        issue.message = format!("{}: {why}", self.message);
        issue
    }
}
