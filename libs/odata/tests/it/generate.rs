//! Random trees of the grammar.

use odata::{
    AggregateMethod, AggregateSource, Aggregation, Argument, ArgumentValue, CompareOp, ExpandForm,
    ExpandItem, ExpandOptions, Expr, Literal, Operand, OperandKind, OrderItem, Path, Quantifier,
    QueryFunction, Span, Transformation,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Names that would read as something else where they stand.
const WORDS: [&str; 11] =
    ["not", "null", "true", "false", "any", "all", "case", "rollup", "asc", "desc", "with"];

fn name() -> impl Strategy<Value = String> {
    "[a-zé_][a-z0-9_]{0,8}".prop_filter("a word of the grammar", |it| !WORDS.contains(&it.as_str()))
}

fn qualified() -> impl Strategy<Value = String> {
    (name(), name()).prop_map(|(namespace, name)| format!("{namespace}_n.{name}"))
}

pub(crate) fn path() -> impl Strategy<Value = Path> {
    vec(prop_oneof![4 => name(), 1 => qualified()], 1..4).prop_map(Path)
}

fn path_of_a_filter() -> impl Strategy<Value = Path> {
    (any::<bool>(), path(), any::<bool>()).prop_map(|(it, mut path, count)| {
        if it {
            path.0.insert(0, "$it".to_owned());
        }
        if count {
            path.0.push("$count".to_owned());
        }
        path
    })
}

pub(crate) fn literal() -> impl Strategy<Value = Literal> {
    let time = (0u32..86_400, 0u32..1_000_000_000)
        .prop_map(|(secs, nanos)| {
            chrono::NaiveTime::from_num_seconds_from_midnight_opt(secs, nanos)
                .expect("within range")
        })
        .boxed();
    let day = (1i32..3_652_059)
        .prop_map(|days| chrono::NaiveDate::from_num_days_from_ce_opt(days).expect("within range"))
        .boxed();
    let moment = (day.clone(), time.clone(), -840i32..=840).prop_map(|(day, time, minutes)| {
        let zone = chrono::FixedOffset::east_opt(minutes * 60).expect("within range");
        Literal::DateTime(
            day.and_time(time).and_local_timezone(zone).single().expect("within range"),
        )
    });
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        "-?[0-9]{1,40}".prop_map(Literal::Integer),
        "-?[0-9]{1,20}\\.[0-9]{1,20}".prop_map(Literal::Decimal),
        "-?[0-9](\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}".prop_map(Literal::Double),
        select(vec!["INF", "-INF", "NaN"]).prop_map(|it| Literal::Double(it.to_owned())),
        any::<String>().prop_map(Literal::String),
        any::<u128>().prop_map(|it| Literal::Guid(uuid::Uuid::from_u128(it))),
        moment,
        day.prop_map(Literal::Date),
        time.prop_map(Literal::TimeOfDay),
        "-?P[0-9]{1,3}DT[0-9]H[0-9]M[0-9]{1,2}(\\.[0-9]{1,3})?S".prop_map(Literal::Duration),
        any::<Vec<u8>>().prop_map(Literal::Binary),
        (qualified(), "[A-Za-z0-9,' ]{1,12}")
            .prop_map(|(type_name, member)| Literal::Enum { type_name, member }),
    ]
}

fn operand(kind: OperandKind) -> Operand {
    Operand { kind, span: Span::default() }
}

fn query_function() -> impl Strategy<Value = OperandKind> {
    let value = prop_oneof![
        literal().prop_map(ArgumentValue::Literal),
        vec(literal(), 0..3).prop_map(ArgumentValue::List),
    ];
    let arguments = vec((name(), value).prop_map(|(name, value)| Argument { name, value }), 0..3);
    (option::of(path()), qualified(), arguments)
        .prop_map(|(on, name, arguments)| OperandKind::Query(QueryFunction { on, name, arguments }))
}

fn simple_operand() -> impl Strategy<Value = Operand> {
    let leaf = prop_oneof![
        literal().prop_map(OperandKind::Literal),
        path_of_a_filter().prop_map(OperandKind::Path),
        query_function(),
    ]
    .prop_map(operand);
    leaf.prop_recursive(3, 8, 3, |inner| {
        (name(), vec(inner, 0..3))
            .prop_map(|(function, arguments)| operand(OperandKind::Call { function, arguments }))
    })
}

fn compare_op() -> impl Strategy<Value = CompareOp> {
    use CompareOp as Op;
    select(vec![Op::Eq, Op::Ne, Op::Gt, Op::Ge, Op::Lt, Op::Le])
}

pub(crate) fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        simple_operand().prop_map(Expr::Predicate),
        (compare_op(), simple_operand(), simple_operand())
            .prop_map(|(op, left, right)| Expr::Compare { op, left, right }),
        (simple_operand(), vec(simple_operand(), 1..4))
            .prop_map(|(left, values)| Expr::In { left, values }),
        (simple_operand(), simple_operand()).prop_map(|(left, right)| Expr::Has { left, right }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let lambda = (path(), name(), any::<bool>(), option::of(inner.clone()));
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expr::Or),
            vec(inner.clone(), 2..4).prop_map(Expr::And),
            inner.prop_map(|it| Expr::Not(Box::new(it))),
            lambda.prop_map(|(path, variable, any, inner)| {
                let quantifier =
                    if any || inner.is_none() { Quantifier::Any } else { Quantifier::All };
                let predicate = inner.map(|it| (variable, Box::new(it)));
                Expr::Predicate(operand(OperandKind::Lambda { path, quantifier, predicate }))
            }),
        ]
    })
}

pub(crate) fn order_by() -> impl Strategy<Value = Vec<OrderItem>> {
    let item = (path_of_a_filter(), any::<bool>())
        .prop_map(|(path, descending)| OrderItem { path, descending });
    vec(item, 1..3)
}

pub(crate) fn expand() -> impl Strategy<Value = Vec<ExpandItem>> {
    let form = || select(vec![ExpandForm::Rows, ExpandForm::References, ExpandForm::Count]);
    let leaf = (path(), form()).prop_map(|(path, form)| ExpandItem {
        path,
        form,
        options: ExpandOptions::default(),
    });
    let item = leaf.prop_recursive(4, 12, 3, move |inner| {
        let options = (
            option::of(vec(path(), 1..3)),
            option::of(expr()),
            option::of(order_by()),
            option::of(any::<u64>()),
            vec(inner, 0..3),
        );
        (path(), form(), options).prop_map(|(path, form, (select, filter, order, top, expand))| {
            let order_by = order.unwrap_or_default();
            let options =
                ExpandOptions { select, filter, order_by, top, expand, refused: Vec::new() };
            ExpandItem { path, form, options }
        })
    });
    vec(item, 1..3)
}

pub(crate) fn apply() -> impl Strategy<Value = Vec<Transformation>> {
    use AggregateMethod as Method;
    let methods =
        vec![Method::Sum, Method::Average, Method::Min, Method::Max, Method::CountDistinct];
    let source = prop_oneof![
        Just(AggregateSource::Count),
        (path(), select(methods))
            .prop_map(|(path, method)| AggregateSource::Column { path, method }),
    ];
    let value = (source, name()).prop_map(|(source, alias)| Aggregation { source, alias });
    let leaf = prop_oneof![
        expr().prop_map(Transformation::Filter),
        vec(value, 1..3).prop_map(Transformation::Aggregate),
        select(vec!["compute", "topcount", "identity", "expand"])
            .prop_map(|it| Transformation::Unsupported(it.to_owned())),
    ];
    let step = leaf.prop_recursive(3, 8, 2, |inner| {
        (vec(path(), 1..3), vec(inner, 0..3))
            .prop_map(|(paths, then)| Transformation::GroupBy { paths, then })
    });
    vec(step, 1..4)
}

/// Takes the places out of a tree that was read, so that it equals one that was made.
pub(crate) fn forget_places(expr: &mut Expr) {
    match expr {
        Expr::Or(items) | Expr::And(items) => items.iter_mut().for_each(forget_places),
        Expr::Not(inner) => forget_places(inner),
        Expr::Compare { left, right, .. } | Expr::Has { left, right } => {
            [left, right].into_iter().for_each(forget_place);
        }
        Expr::In { left, values } => {
            forget_place(left);
            values.iter_mut().for_each(forget_place);
        }
        Expr::Predicate(operand) => forget_place(operand),
    }
}

fn forget_place(operand: &mut Operand) {
    operand.span = Span::default();
    match &mut operand.kind {
        OperandKind::Call { arguments, .. } => arguments.iter_mut().for_each(forget_place),
        OperandKind::Lambda { predicate: Some((_, inner)), .. } => forget_places(inner),
        OperandKind::Lambda { .. }
        | OperandKind::Literal(_)
        | OperandKind::Path(_)
        | OperandKind::Query(_) => {}
    }
}
