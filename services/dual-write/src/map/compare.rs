//! Whether two rows are the same, as far as a map says.

use proto::dual_write::v1::FieldDifference;
use proto::query::v1::{Image, Value};

use super::compile::{CompiledField, CompiledMap};
use super::definition::Field;
use super::transform::Direction;
use super::value;

impl CompiledMap {
    /// What differs: of a field that goes both ways, what neither way would make equal.
    pub(crate) fn differences(&self, erp: &Image, platform: &Image) -> Vec<FieldDifference> {
        let fields = self.fields.iter();
        fields.filter_map(|it| difference(it, erp, platform)).collect()
    }

    /// Nothing differs.
    pub(crate) fn equal(&self, erp: &Image, platform: &Image) -> bool {
        self.fields.iter().all(|it| difference(it, erp, platform).is_none())
    }
}

fn difference(it: &CompiledField, erp: &Image, platform: &Image) -> Option<FieldDifference> {
    let Field { erp: erp_column, platform: platform_column, .. } = &it.field;
    let (erp_column, platform_column) = (erp_column.as_ref()?, platform_column.as_ref()?);
    let left = erp.values.get(it.erp_position?)?;
    let right = platform.values.get(it.platform_position?)?;
    let forwards = it.field.pipeline(Direction::ToPlatform).map(|pipeline| pipeline.apply(left));
    let backwards =
        it.field.pipeline(Direction::ToFinanceAndOperations).map(|pipeline| pipeline.apply(right));
    let arrives = |sent: &Option<Result<Value, _>>, there: &Value, nothing: &Value| match sent {
        Some(Ok(sent)) if value::is_none(sent) => {
            value::is_none(there) || value::same(nothing, there)
        }
        Some(Ok(sent)) => value::same(sent, there),
        Some(Err(_)) | None => false,
    };
    let is_same = (value::is_none(left) && value::is_none(right))
        || arrives(&forwards, right, &value::nothing(&platform_column.leaf))
        || arrives(&backwards, left, &value::nothing(erp_column));
    (!is_same).then(|| FieldDifference {
        platform_column: platform_column.path.clone(),
        finance_and_operations_value: Some(match forwards {
            Some(Ok(sent)) => sent,
            Some(Err(_)) | None => left.clone(),
        }),
        platform_value: Some(right.clone()),
    })
}
