//! Columns beside columns: pairs of links, and conditions that name a second column.

use proto::query::v1::ConditionOperator as Operator;

use super::Planner;
use super::column::{Column, GuidForm, Lookup, Named, RowGuid};
use super::inline::Read;
use super::scope::Place;
use crate::binding::{Casing, Kind};
use crate::error::Error;

impl Planner<'_> {
    pub(super) fn compare_columns(
        &mut self,
        left: &Named,
        operator: Operator,
        right: &Named,
        at: Place,
    ) -> Result<String, Error> {
        let symbol = match operator {
            Operator::Equal => return self.equal_columns(left, right, false, at),
            Operator::NotEqual => {
                let equal = self.equal_columns(left, right, false, at)?;
                return Ok(format!("({equal}) IS NOT TRUE"));
            }
            Operator::GreaterThan => ">",
            Operator::GreaterEqual => ">=",
            Operator::LessThan => "<",
            Operator::LessEqual => "<=",
            _ => {
                let message = "this operator does not compare columns";
                return Err(Error::InvalidQuery(message.to_owned()));
            }
        };
        let (Named::Field(left), Named::Field(right)) = (left, right) else {
            return Err(Error::InvalidQuery("only declared columns can be compared".to_owned()));
        };
        let (left, right) = in_order(left, right)?;
        Ok(format!("{left} {symbol} {right}"))
    }

    /// Whether two columns hold the same; null equals nothing. `exact` text is alike to the letter.
    pub(super) fn equal_columns(
        &mut self,
        left: &Named,
        right: &Named,
        exact: bool,
        at: Place,
    ) -> Result<String, Error> {
        if let (Named::Lookup(lookup), Named::RecordId(guid))
        | (Named::RecordId(guid), Named::Lookup(lookup)) = (left, right)
            && let Some(sql) = self.relates_to(lookup, guid, at)?
        {
            return Ok(sql);
        }
        match (self.side(left, at)?, self.side(right, at)?) {
            (Side::Guid(left), Side::Guid(right)) => Ok(equal_guids(&left, &right)),
            (Side::Guid(guid), Side::Column(column)) | (Side::Column(column), Side::Guid(guid)) => {
                self.equal_guid(&guid, &column, at)
            }
            (Side::Column(left), Side::Column(right)) => {
                let left = self.as_option_of(left, &right, at)?;
                let right = self.as_option_of(right, &left, at)?;
                let (left, right) = beside(&left, &right, exact)?;
                Ok(format!("{left} = {right}"))
            }
        }
    }

    /// The fields of a relation, beside a row of the entity that it leads to.
    fn relates_to(
        &mut self,
        lookup: &Lookup,
        guid: &RowGuid,
        at: Place,
    ) -> Result<Option<String>, Error> {
        let (Some(owner), Some(target)) = (guid.owner, &lookup.target) else { return Ok(None) };
        let is_target = self.binding(owner).is_some_and(|it| it.name() == target.binding().name());
        if !is_target {
            return Ok(None);
        }
        let on = self.relate(lookup, at, owner, at)?;
        Ok(super::and_all(&on))
    }

    fn side(&mut self, named: &Named, at: Place) -> Result<Side, Error> {
        Ok(match named {
            Named::Field(it) => Side::Column(it.clone()),
            // The id of a company is made of its code, of which letter case is no part.
            Named::Company(it) => Side::Column(it.clone()),
            Named::RecordId(it) => Side::Guid(it.clone()),
            Named::Lookup(it) => Side::Guid(self.lookup_guid(it, at)?),
            Named::Primary(columns) => match columns.as_slice() {
                [column] => Side::Column(column.clone()),
                _ => return Err(incomparable("a key of several fields")),
            },
            Named::Version(_) => return Err(incomparable("a row's version")),
        })
    }

    /// A row's GUID beside a column of GUIDs.
    fn equal_guid(&mut self, guid: &RowGuid, column: &Column, at: Place) -> Result<String, Error> {
        if !matches!(column.kind, Kind::Guid) {
            return Err(incomparable("a record id"));
        }
        let RowGuid { entity_id, form, column: own, .. } = guid;
        if let Some(rows) = column.rows {
            let read = Read::RowIds { entity_id: *entity_id, form: *form };
            if let Some(ids) = self.inline_column(rows, &column.name, &read)? {
                let ids = self.see(at, rows, ids)?;
                return Ok(format!("{} = {}", own.sql, ids.sql));
            }
        }
        Ok(format!("{} = {}", own.sql, decoded(*form, *entity_id, &column.sql)))
    }

    /// Numbers by value beside an enum are its options.
    fn as_option_of(&mut self, column: Column, other: &Column, at: Place) -> Result<Column, Error> {
        let (Some(rows), Kind::Integer, Kind::Enum(members)) =
            (column.rows, &column.kind, &other.kind)
        else {
            return Ok(column);
        };
        let read = Read::Options(members.clone());
        match self.inline_column(rows, &column.name, &read)? {
            Some(options) => self.see(at, rows, options),
            None => Ok(column),
        }
    }
}

/// What is compared: a value, or what a GUID is made of.
enum Side {
    Column(Column),
    Guid(RowGuid),
}

fn incomparable(what: &str) -> Error {
    Error::InvalidQuery(format!("{what} cannot be compared with this column"))
}

fn equal_guids(left: &RowGuid, right: &RowGuid) -> String {
    let (one, other) = (&left.column.sql, &right.column.sql);
    match (left.form, right.form) {
        (GuidForm::Uuid, GuidForm::Uuid) => format!("{one} = {other}"),
        (GuidForm::Uuid, form) => format!("{other} = {}", decoded(form, right.entity_id, one)),
        (form, GuidForm::Uuid) => format!("{one} = {}", decoded(form, left.entity_id, other)),
        (left_form, right_form) if left_form == right_form && left.entity_id == right.entity_id => {
            format!("{one} = {other}")
        }
        _ => "false".to_owned(),
    }
}

/// What a GUID was made of, if it is one of the entity's; otherwise null.
fn decoded(form: GuidForm, entity_id: u32, guid: &str) -> String {
    let digits = format!("replace({guid}::text, '-', '')");
    let digit = |at: usize, length: usize| format!("substr({digits}, {at}, {length})");
    match form {
        GuidForm::Uuid => guid.to_owned(),
        GuidForm::Integer => {
            let bytes: Vec<String> = (0..8).rev().map(|byte| digit(17 + byte * 2, 2)).collect();
            let number = format!("('x' || {})::bit(64)::bigint", bytes.join(" || "));
            format!("CASE WHEN {} = '{entity_id:08x}00000000' THEN {number} END", digit(1, 16))
        }
        GuidForm::Hash => {
            let parts = [digit(9, 4), digit(14, 3), digit(18, 3), digit(21, 12)].join(" || ");
            format!("CASE WHEN {digits} LIKE '{entity_id:08x}____8___b%' THEN {parts} END")
        }
    }
}

/// Both columns as they compare with each other: text in one letter case, no date as null.
fn beside(left: &Column, right: &Column, exact: bool) -> Result<(String, String), Error> {
    if !is_comparable(&left.kind, &right.kind) {
        return Err(Error::InvalidQuery(format!(
            "`{}` and `{}` hold different kinds of value",
            left.name, right.name
        )));
    }
    if !matches!(left.kind, Kind::Text) {
        return Ok((left.or_null().sql, right.or_null().sql));
    }
    let alike = left.casing == right.casing && left.casing != Casing::Any;
    if exact || alike {
        return Ok((left.sql.clone(), right.sql.clone()));
    }
    // A column that has one letter case only is left as it is, so that its index serves.
    let fold = if [left.casing, right.casing].contains(&Casing::Upper) { "upper" } else { "lower" };
    let kept = if fold == "upper" { Casing::Upper } else { Casing::Lower };
    let folded = |it: &Column| match it.casing {
        casing if casing == kept => it.sql.clone(),
        _ => format!("{fold}({})", it.sql),
    };
    Ok((folded(left), folded(right)))
}

/// Two columns as they compare before or after each other: text as rows are sorted, in lower case.
fn in_order(left: &Column, right: &Column) -> Result<(String, String), Error> {
    let is_exact = |it: &Column| it.casing == Casing::Exact;
    let (left_sql, right_sql) = beside(left, right, false)?;
    if !matches!(left.kind, Kind::Text) || (is_exact(left) && is_exact(right)) {
        return Ok((left_sql, right_sql));
    }
    Ok((format!("lower({})", left.sql), format!("lower({})", right.sql)))
}

/// Whether values of one kind compare with values of the other.
fn is_comparable(left: &Kind, right: &Kind) -> bool {
    let is_number = |it: &Kind| matches!(it, Kind::Integer | Kind::Decimal);
    let is_moment = |it: &Kind| matches!(it, Kind::Date | Kind::DateTime { .. });
    if let (Kind::Enum(left), Kind::Enum(right)) = (left, right) {
        return left.is_stored_as(right);
    }
    (is_number(left) && is_number(right))
        || (is_moment(left) && is_moment(right))
        || std::mem::discriminant(left) == std::mem::discriminant(right)
}
