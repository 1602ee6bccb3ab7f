//! What is printed reads as the tree that it was printed from.

use odata::{
    Aliases, ExpandItem, Transformation, parse_apply, parse_expand, parse_filter, parse_literal,
    parse_order_by, parse_select,
};
use proptest::prelude::*;

use crate::generate::{self, forget_places};

fn forget_in_expand(items: &mut [ExpandItem]) {
    for item in items {
        item.options.filter.iter_mut().for_each(forget_places);
        forget_in_expand(&mut item.options.expand);
    }
}

fn forget_in_apply(steps: &mut [Transformation]) {
    for step in steps {
        match step {
            Transformation::Filter(expr) => forget_places(expr),
            Transformation::GroupBy { then, .. } => forget_in_apply(then),
            Transformation::Aggregate(_) | Transformation::Unsupported(_) => {}
        }
    }
}

fn joined<T: ToString>(items: &[T], with: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(with)
}

proptest! {
    #[test]
    fn filters(expr in generate::expr()) {
        let text = expr.to_string();
        let mut read = parse_filter(&text, &Aliases::new()).unwrap();
        forget_places(&mut read);
        prop_assert_eq!(read, expr, "{}", text);
    }

    #[test]
    fn expands(items in generate::expand()) {
        let text = joined(&items, ", ");
        let mut read = parse_expand(&text).unwrap();
        forget_in_expand(&mut read);
        prop_assert_eq!(read, items, "{}", text);
    }

    #[test]
    fn applies(steps in generate::apply()) {
        let text = joined(&steps, "/");
        let mut read = parse_apply(&text, &Aliases::new()).unwrap();
        forget_in_apply(&mut read);
        prop_assert_eq!(read, steps, "{}", text);
    }

    #[test]
    fn literals(literal in generate::literal()) {
        let text = literal.to_string();
        prop_assert_eq!(parse_literal(&text), Ok(literal), "{}", text);
    }

    #[test]
    fn orders(items in generate::order_by()) {
        let text = joined(&items, ",");
        prop_assert_eq!(parse_order_by(&text, &Aliases::new()), Ok(items), "{}", text);
    }

    #[test]
    fn selections(paths in prop::collection::vec(generate::path(), 1..5)) {
        let text = joined(&paths, " , ");
        prop_assert_eq!(parse_select(&text), Ok(paths), "{}", text);
    }

    #[test]
    fn a_parameter_alias_stands_for_its_text(literal in generate::literal()) {
        let aliases = Aliases::from([("p".to_owned(), literal.to_string())]);
        let mut through = parse_filter("a eq @p", &aliases).unwrap();
        let mut direct = parse_filter(&format!("a eq {literal}"), &Aliases::new()).unwrap();
        forget_places(&mut through);
        forget_places(&mut direct);
        prop_assert_eq!(through, direct);
    }
}
