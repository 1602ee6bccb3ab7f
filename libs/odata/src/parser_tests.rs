use proptest::prelude::*;

use super::*;
use crate::expr::{Argument, ArgumentValue, QueryFunction};

fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let aliases = Aliases::from([
        ("p".to_owned(), "'it''s'".to_owned()),
        ("col".to_owned(), "revenue".to_owned()),
        ("list".to_owned(), "[\"a\",\"O'Brian\"]".to_owned()),
        ("bad".to_owned(), "1 2".to_owned()),
        ("loop".to_owned(), "@loop".to_owned()),
    ]);
    parse_filter(text, &aliases)
}

#[test]
fn expressions_read_as_their_canonical_text() {
    let check = |text: &str, expected: &str| {
        let actual = parse(text).map(|it| it.to_string());
        assert_eq!(actual.as_deref(), Ok(expected), "{text}");
    };
    check("name eq 'O''Brian'", "name eq 'O''Brian'");
    check("  a   eq 1 ", "a eq 1");
    check("a eq 1 and b ne 2 or c gt 3", "(a eq 1 and b ne 2) or c gt 3");
    check("a eq 1 and (b ne 2 or c gt 3)", "a eq 1 and (b ne 2 or c gt 3)");
    check("((a eq 1))", "a eq 1");
    check("(a) eq 1", "a eq 1");
    check("not contains(name,'x')", "not (contains(name,'x'))");
    check("not(a eq 1)and b eq 2", "not (a eq 1) and b eq 2");
    check("flag", "flag");
    check("contains( name , 'x' ) eq true", "contains(name,'x') eq true");
    check("a in (1, 2,'x')", "a in (1,2,'x')");
    check("a eq -12.50", "a eq -12.50");
    check("a eq 123456789012345678901234567890", "a eq 123456789012345678901234567890");
    check("a eq 1.5E+3", "a eq 1.5E+3");
    check("a eq null or a eq true", "a eq null or a eq true");
    check(
        "id eq 5E2D6A4B-0000-0000-0000-0000000000FF",
        "id eq 5e2d6a4b-0000-0000-0000-0000000000ff",
    );
    check("d ge 2026-11-21 and d lt 2026-11-22T00:00:00+02:00", {
        "d ge 2026-11-21 and d lt 2026-11-22T00:00:00+02:00"
    });
    check("a/b/c eq 'x'", "a/b/c eq 'x'");
    check(
        "tasks/any(t:t/subject eq 'x' and t/n gt 1)",
        "tasks/any(t:t/subject eq 'x' and t/n gt 1)",
    );
    check("tasks/any()", "tasks/any()");
    check("o eq My.Enum'A''B'", "o eq My.Enum'A''B'");
    check("a eq @p", "a eq 'it''s'");
    check("@col gt 5 and b eq @unassigned", "revenue gt 5 and b eq null");
    check(
        "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[\"a\",\"O'Brian\",\"\\u00e9\\n\"])",
        "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=['a','O''Brian','é\n'])",
    );
    check(
        "Microsoft.Dynamics.CRM.In(PropertyName=@p,PropertyValues=@list)",
        "Microsoft.Dynamics.CRM.In(PropertyName='it''s',PropertyValues=['a','O''Brian'])",
    );
    check("Microsoft.Dynamics.CRM.Today(PropertyName='d')", {
        "Microsoft.Dynamics.CRM.Today(PropertyName='d')"
    });
    check("android eq 1", "android eq 1");
    check("name eq 'and or ) (' ", "name eq 'and or ) ('");
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let check = |text: &str, position: usize| {
        let expected = SyntaxError::Unexpected { position, text: text.to_owned() };
        assert_eq!(parse(text), Err(expected), "{text}");
    };
    check("", 0);
    check("name eq", 7);
    check("name eq 'x", 10);
    check("name eq 'x' and", 15);
    check("é eq 'ü' xor b", 9);
    check("(a eq 1", 7);
    check("a eq 1)", 6);
    check("a eq 1 2", 7);
    check("a eq 1.", 6);
    check("a eq 12x", 7);
    check("a eq 2026-02-30", 5);
    check("a eq 2026-11-21T10:00:00", 5);
    check("a in ()", 6);
    check("a in 1", 5);
    check("contains(a,", 11);
    check("eq eq", 5);
    check("a eq @bad", 5);
    check("a eq @loop", 5);
    check("N.F(1)", 4);
    check("N.F(P=\"x\")", 6);
    let error = parse("name eq").unwrap_err();
    assert_eq!(error.to_string(), "Syntax error at position 7 in 'name eq'.");
}

#[test]
fn nesting_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}a eq 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(100)).is_ok());
    assert_eq!(parse(&nested(101)), Err(SyntaxError::TooDeep));
    assert_eq!(parse(&"not ".repeat(10_000)), Err(SyntaxError::TooDeep));
    assert_eq!(parse(&"f(".repeat(10_000)), Err(SyntaxError::TooDeep));
    assert_eq!(parse(&"a/any(x:".repeat(8_000)), Err(SyntaxError::TooDeep));
    assert_eq!(parse(&"a".repeat(MAX_LENGTH + 1)), Err(SyntaxError::TooLong));
    let chain = vec!["a eq 1"; 5_000].join(" or ");
    assert!(matches!(parse(&chain), Ok(Expr::Or(items)) if items.len() == 5_000));
}

#[test]
fn orders_and_selections_are_lists() {
    let orders = |text: &str| {
        let aliases = Aliases::from([("p".to_owned(), "name".to_owned())]);
        parse_order_by(text, &aliases)
            .map(|it| it.iter().map(|it| (it.path.to_string(), it.descending)).collect::<Vec<_>>())
    };
    let expected =
        vec![("name".to_owned(), false), ("a".to_owned(), true), ("b".to_owned(), false)];
    assert_eq!(orders("@p asc, a  desc,b"), Ok(expected));
    for bad in ["", "a down", "a,", "1", "'a'", "a desc asc"] {
        assert!(orders(bad).is_err(), "{bad}");
    }
    let selection = |text: &str| {
        parse_select(text).map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(selection("a, b ,_c_value"), Ok(vec!["a".into(), "b".into(), "_c_value".into()]));
    assert_eq!(selection("*"), Ok(vec!["*".into()]));
    for bad in ["", "a b", ",", "a,", "'a'", "a/any()"] {
        assert!(selection(bad).is_err(), "{bad}");
    }
}

fn place() -> Span {
    Span::default()
}

fn operand(kind: OperandKind) -> Operand {
    Operand { kind, span: place() }
}

fn any_name() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_]{0,8}".prop_filter("a word of the grammar", |it| {
        let words = ["not", "null", "true", "false", "any", "all"];
        !words.contains(&it.as_str())
    })
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        "-?[0-9]{1,40}".prop_map(Literal::Integer),
        "-?[0-9]{1,20}\\.[0-9]{1,20}".prop_map(Literal::Decimal),
        "[0-9]\\.[0-9]{1,3}[eE]-?[0-9]{1,2}".prop_map(Literal::Double),
        any::<String>().prop_map(Literal::String),
        any::<u128>().prop_map(|it| Literal::Guid(uuid::Uuid::from_u128(it))),
        (0..4_000_000i64).prop_map(|secs| {
            let moment = chrono::DateTime::from_timestamp(secs * 1000, 5_000_000).unwrap();
            Literal::DateTime(moment.fixed_offset())
        }),
        (0..3_000_000i32).prop_map(|days| {
            Literal::Date(chrono::NaiveDate::from_num_days_from_ce_opt(days + 1).unwrap())
        }),
    ]
}

fn any_operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        any_literal().prop_map(|it| operand(OperandKind::Literal(it))),
        prop::collection::vec(any_name(), 1..3).prop_map(|it| operand(OperandKind::Path(Path(it)))),
        (any_name(), prop::collection::vec(any_literal(), 0..3)).prop_map(|(function, values)| {
            let arguments =
                values.into_iter().map(|it| operand(OperandKind::Literal(it))).collect();
            operand(OperandKind::Call { function, arguments })
        }),
        prop::collection::vec(any_literal(), 0..3).prop_map(|values| {
            let value = ArgumentValue::List(values);
            let arguments = vec![Argument { name: "PropertyValues".into(), value }];
            operand(OperandKind::Query(QueryFunction { name: "N.In".into(), arguments }))
        }),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        any_operand().prop_map(Expr::Predicate),
        (any_operand(), any_operand()).prop_map(|(left, right)| Expr::Compare {
            op: CompareOp::Le,
            left,
            right
        }),
        (any_operand(), prop::collection::vec(any_operand(), 1..4))
            .prop_map(|(left, values)| Expr::In { left, values }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            inner.prop_map(|it| Expr::Not(Box::new(it))),
        ]
    })
}

fn forget_places(expr: &mut Expr) {
    match expr {
        Expr::Or(items) | Expr::And(items) => items.iter_mut().for_each(forget_places),
        Expr::Not(inner) => forget_places(inner),
        Expr::Compare { left, right, .. } => [left, right].into_iter().for_each(forget_place),
        Expr::In { left, values } => {
            forget_place(left);
            values.iter_mut().for_each(forget_place);
        }
        Expr::Predicate(operand) => forget_place(operand),
    }
}

fn forget_place(operand: &mut Operand) {
    operand.span = place();
    if let OperandKind::Call { arguments, .. } = &mut operand.kind {
        arguments.iter_mut().for_each(forget_place);
    }
}

proptest! {
    #[test]
    fn a_printed_tree_reads_as_the_same_tree(expr in any_expr()) {
        let text = expr.to_string();
        let mut read = parse_filter(&text, &Aliases::new()).unwrap();
        forget_places(&mut read);
        prop_assert_eq!(read, expr, "{}", text);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text);
        let _ = parse_order_by(&text, &Aliases::new());
        let _ = parse_select(&text);
    }

    #[test]
    fn no_text_of_the_grammars_own_words_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "eq", "not", "(", ")", "'", "''", "and", "in", "1", "-", ".5", "2026-11-21",
                "T10:00Z", "@p", "@list", "N.F(", "P=", "[", "\"", "\\u", "d83d", "/", "any(", ":",
                ",", " ", "é", "00000000-0000-0000-0000-000000000000", "e9",
            ]),
            0..24,
        )
    ) {
        let _ = parse(&words.concat());
        let _ = parse(&words.join(" "));
    }
}

#[test]
fn aliases_cannot_make_a_short_expression_long() {
    let alias = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let bomb = Aliases::from([
        alias("a", "concat(@b,@b)"),
        alias("b", "concat(@c,@c)"),
        alias("c", "'x'"),
    ]);
    assert!(parse_filter("contains(@a,'x')", &bomb).is_err());
    let long = Aliases::from([alias("p", &format!("'{}'", "x".repeat(30_000)))]);
    assert!(parse_filter("name in (@p,@p)", &long).is_ok());
    assert_eq!(parse_filter("name in (@p,@p,@p)", &long), Err(SyntaxError::TooLong));
}
