//! The examples of OData's grammar that matter to the platform: what it must read, and what it must
//! not. Where the platform is narrower than OData, the text stands among those it refuses.

use odata::{
    Aliases, Literal, Resource, SyntaxError, parse_apply, parse_expand, parse_filter,
    parse_literal, parse_order_by, parse_select,
};

#[track_caller]
fn all_read<T>(texts: &[&str], read: impl Fn(&str) -> Result<T, SyntaxError>) {
    for text in texts {
        if let Err(error) = read(text) {
            panic!("{text}: {error}");
        }
    }
}

#[track_caller]
fn none_reads<T: std::fmt::Debug>(texts: &[&str], read: impl Fn(&str) -> Result<T, SyntaxError>) {
    for text in texts {
        if let Ok(tree) = read(text) {
            panic!("{text}: {tree:?}");
        }
    }
}

fn filter(text: &str) -> Result<odata::Expr, SyntaxError> {
    parse_filter(text, &Aliases::new())
}

#[test]
fn literals_have_the_types_of_the_standard() {
    let check = |text: &str, edm_type: &str| {
        let literal = parse_literal(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(literal.edm_type(), edm_type, "{text}");
    };
    check("null", "<null>");
    check("true", "Edm.Boolean");
    check("-2147483648", "Edm.Int32");
    check("+42", "Edm.Int32");
    check("1234567890123456789", "Edm.Int64");
    check("12345678901234567890", "Edm.Decimal");
    check("3.14", "Edm.Decimal");
    check("-0.314e1", "Edm.Double");
    check("1e-101", "Edm.Double");
    check("+0.314e+1", "Edm.Double");
    ["INF", "-INF", "NaN"].iter().for_each(|it| check(it, "Edm.Double"));
    check("01234567-89ab-CDEF-0123-456789abcdef", "Edm.Guid");
    check("2012-09-03", "Edm.Date");
    check("2012-09-03T13:52Z", "Edm.DateTimeOffset");
    check("2012-08-31T18:19:22.1Z", "Edm.DateTimeOffset");
    check("2012-09-03T14:53+02:00", "Edm.DateTimeOffset");
    check("11:22", "Edm.TimeOfDay");
    check("11:22:33.4444444", "Edm.TimeOfDay");
    check("duration'-P6DT23H59M59.9999S'", "Edm.Duration");
    check("duration'P6DT23H59M59.9999S'", "Edm.Duration");
    check("binary''", "Edm.Binary");
    check("binary'Zg=='", "Edm.Binary");
    check("binary'Zm9vYmFy'", "Edm.Binary");
    check("'O''Neil'", "Edm.String");
    check("'P6DT23H59M59.9999S'", "Edm.String");
    check("Sales.Pattern'Yellow,Solid'", "Sales.Pattern");
    assert_eq!(parse_literal("+42"), Ok(Literal::Integer("42".into())));
}

#[test]
fn what_only_looks_like_a_literal_is_none() {
    none_reads(
        &[
            "X'1a2B'",
            "tRUe",
            "Null",
            "42.",
            ".1",
            "-0.314e1e2",
            "1e",
            "--1",
            "+-1",
            "0x1F",
            "1_000",
            "1,5",
            "01234g67-89ab-cdef-0123-456789abcdef",
            "01234567-89ab-cdef-456789abcdef",
            "2012-13-03",
            "2012-9-3",
            "2011-12-31T24:00Z",
            "2012-09-03T24:00-03:00",
            "2012-09-03T23:59:60Z",
            "2012-09-03T12:00",
            "0000-01-01",
            "-10000-04-01",
            "24:00:00",
            "11:60",
            "1:22",
            "'O'Neil'",
            "'open",
            "\"json\"",
            "duration'+P6D'",
            "duration'P1Y'",
            "duration'P1M'",
            "duration'6D'",
            "binary'Z'",
            "binary'Zg='",
            "geography'SRID=0;Point(1 2)'",
            "inf",
            "nan",
            "+INF",
            "Pattern'Yellow'",
            "",
        ],
        parse_literal,
    );
}

#[test]
fn filters_of_the_standard_read() {
    all_read(
        &[
            "true",
            "Completed",
            "not false",
            "true eq false",
            "Size eq 4.0",
            "Name ne 'Milk'",
            "Address/Street eq 'Hugo'",
            "Address/Model.AddressWithLocation/Location eq 'x'",
            "true and false",
            "Name eq 'Milk' and Price lt 2.55 or Price gt 10",
            "not endswith(Name,'ilk')",
            "style has Sales.Pattern'Yellow'",
            "Name in ('Milk', 'Cheese')",
            "Name in [\"Milk\", \"Cheese\"]",
            "contains(CompanyName,'freds')",
            "contains( CompanyName , 'freds' )",
            "substring(CompanyName,1,2) eq 'lf'",
            "concat(concat(City,', '),Country) eq 'Berlin'",
            "length(Name) eq 19",
            "indexof(Name,'x') eq 1",
            "year(BirthDate) eq 0",
            "date(Start) eq 2012-09-03",
            "time(Start) le 11:00",
            "Start ge now()",
            "Start lt mindatetime()",
            "round(Freight) eq 32",
            "isof(Model.Customer)",
            "cast(ShipCountry,Edm.String) eq 'x'",
            "Products/$count gt 0",
            "Items/any(d:d/Quantity gt 100)",
            "Items/all(d:d/Quantity gt 100)",
            "Items/any()",
            "Items/any( d : d/Quantity gt 100 )",
            "Emails/any(s:endswith(s,'x'))",
            "Customers/any(c:c/Orders/any(o:o/Price gt c/Limit))",
            "$it/Name eq 'x'",
            "Model.Customer/Name eq 'x'",
            "Region eq @p1",
            "(Name) eq ('x')",
            "Model.Available(Size=1)",
            "Supplier/Model.Available(Size=@s)",
        ],
        filter,
    );
}

#[test]
fn filters_that_are_wrong_or_that_the_platform_lacks_do_not_read() {
    none_reads(
        &[
            "Name EQ 'Milk'",
            "Name eq 'Milk' AND Price lt 2",
            "NOT true",
            "Name  'Milk'",
            "eq 1",
            "Name eq",
            "Name eq 'a' 'b'",
            "Name eq 'a',",
            "()",
            "Name in ()",
            "Name in []",
            "Name in 'a'",
            "Name in ('a' 'b')",
            "Price add 2 gt 3",
            "-Price lt 0",
            "Price mod 2 eq 0",
            "Products/$count($filter=Price gt 5) gt 2",
            "Products/$filter(Price gt 5)/$count gt 1",
            "$root/People(1)/Name eq 'x'",
            "Items/all()",
            "Items/any(d/Quantity gt 1)",
            "Items/any(d:)",
            "Items/any(:d)",
            "Items/any(d:d/x gt 1",
            "case(true:1) eq 1",
            "@Core.Messages/any()",
            "Address eq {\"Street\":\"x\"}",
            "contains(Name 'x')",
            "contains(,'x')",
            "contains(Name,)",
            "Name/ eq 1",
            "/Name eq 1",
            "Name//x eq 1",
            "Name eq 1 or or Name eq 2",
            "Name\u{a0}eq\u{a0}1",
            "Model.F(1)",
            "Model.F(a:1)",
        ],
        filter,
    );
}

#[test]
fn orders_and_selections_of_the_standard_read() {
    let orders = |text: &str| parse_order_by(text, &Aliases::new());
    all_read(
        &[
            "Name",
            "Name asc",
            "Name desc,Price",
            "Address/Street , Name desc",
            "Products/$count desc",
        ],
        orders,
    );
    none_reads(
        &[
            "",
            "Name DESC",
            "Name descending",
            "Name,,Price",
            "Name;Price",
            "'x'",
            "Name asc desc",
            "length(Name)",
            "-Name",
            "Name,",
        ],
        orders,
    );
    all_read(
        &["*", "Name", "Name,Price", "Address/Street", "Model.T/Name", " a , b "],
        parse_select,
    );
    none_reads(
        &["", ",", "Name,", "Name Price", "'Name'", "Name(x)", "**", "1", "Name/"],
        parse_select,
    );
}

#[test]
fn expands_of_the_standard_read() {
    all_read(
        &[
            "Products",
            "*",
            "Products/$ref",
            "Products/$count",
            "Model.T/Products",
            "Products/Model.BestSellingProduct($select=Name)",
            "Orders($select=ID,Name;$top=5)",
            "Orders($filter=Size eq 1 and Name ne ';)';$orderby=Size desc,Name;$top=0)",
            "Orders($expand=Items($expand=Product($select=Name)),Customer),Category",
            "Orders( $select = ID ; $top = 5 ; )",
            "Orders/$ref($top=3)",
            "Orders($levels=max)",
            "Orders($count=true;$skip=2;$search=\"a ) b\" OR (c))",
            "*($levels=2)",
        ],
        parse_expand,
    );
    none_reads(
        &[
            "",
            ",",
            "Orders()",
            "Orders(;)",
            "Orders(Name)",
            "Orders($select)",
            "Orders($select=)",
            "Orders($top=x)",
            "Orders($top=-1)",
            "Orders($top=99999999999999999999)",
            "Orders($top=1,$select=a)",
            "Orders($select=a",
            "Orders($select=a))",
            "Orders (x)",
            "Orders($Select=a)",
            "Orders($select=a;$select=b)",
            "Orders($filter=a eq @p)",
            "$ref",
            "$count",
            "Orders/$value",
            "Orders/$ref/x",
            "Orders($foo=1)",
            "Orders(select=a)",
            "Orders($top=1)x",
        ],
        parse_expand,
    );
    let check = |text: &str, expected: SyntaxError| assert_eq!(parse_expand(text), Err(expected));
    check("a($foo=1)", SyntaxError::UnknownOption("$foo".into()));
    check("a($top=1;$top=2)", SyntaxError::DuplicateOption("$top".into()));
}

#[test]
fn applies_of_the_standard_read() {
    let apply = |text: &str| parse_apply(text, &Aliases::new());
    all_read(
        &[
            "aggregate(Amount with sum as Total)",
            "aggregate($count as Number)",
            "aggregate(Amount with average as A, Amount with countdistinct as B)",
            "groupby((Name))",
            "groupby((Customer/Country,Product/Name))",
            "groupby((Name),aggregate(Amount with max as M))",
            "filter(Amount gt 3)/groupby((Name),aggregate(Amount with min as M))/filter(M lt 5)",
            "groupby((Name),filter(Amount gt 1)/aggregate($count as N))",
            "compute(Amount mul 2 as Double)",
            "topcount(2,Amount)",
            "identity",
            "concat(topcount(2,Amount),aggregate($count as N))",
            "Model.Custom(A='(')",
            "groupby( ( Name , Size ) , aggregate( Amount with sum as T ) )",
        ],
        apply,
    );
    none_reads(
        &[
            "",
            "/",
            "groupby(Name)",
            "groupby(())",
            "groupby((Name)",
            "groupby((Name),)",
            "aggregate()",
            "aggregate(Amount)",
            "aggregate(Amount with sum)",
            "aggregate(Amount with sum as)",
            "aggregate(Amount sum as T)",
            "aggregate(Amount with total as T)",
            "aggregate(Amount with sum as a.b)",
            "aggregate(Amount with sum as T) x",
            "aggregate(Amount withsum as T)",
            "filter()",
            "filter(a eq 1)/",
            "filter(a eq 1)//filter(b eq 1)",
            "unknown(x)",
            "aggregate($count)",
            "groupby((rollup($all,Name)))",
            "aggregate(Amount mul 2 with sum as T)",
            "topcount(2",
        ],
        apply,
    );
}

#[test]
fn resource_paths_of_the_standard_read() {
    let named = |path: &str| match Resource::parse(path) {
        Ok(Resource::Named { name, key, tail }) => (name, key, tail),
        other => panic!("{path}: {other:?}"),
    };
    let malformed = |key: &odata::Key| matches!(key, odata::Key::Malformed(_));
    for path in [
        "Categories",
        "Categories(11)",
        "Categories(ID=1)",
        "Categories(ID=1,Size=5)",
        "Customers('O''Neil')",
        "Customers(%27O%27%27Neil%27)",
        "Customers%28%27O%27%27Neil%27%29",
        "Categories('Smartphone%2FTablet')",
        "Categories('Tablet%20%28small%29')",
        "Categories('Tablet%20)small(')",
        "Categories(2018-02-13T23%3A59%3A59Z)",
        "Categories(23:59:59)",
        "ProductsByColor(color='red')",
        "EmployeesByManager(ManagerID=@p1)",
    ] {
        let (_, key, tail) = named(path);
        assert!(!malformed(&key) && tail.is_empty(), "{path}: {key:?} {tail:?}");
    }
    for path in [
        "Customers('O%27Neil')",
        "Categories(ID=wrong)",
        "OrderItems(OrderID=1;ItemID='a')",
        "Categories(1",
        "Categories(1)(2)",
        "Categories(1,2)",
        "Categories(ID=)",
    ] {
        assert!(malformed(&named(path).1), "{path}");
    }
    for (path, segments) in [
        ("Categories(1)/Products", 1),
        ("Categories(1)/Products(2)/$ref", 2),
        ("Products/Model.MostExpensive()", 1),
        ("Categories(1)/Address/Model.T/Location", 3),
        ("Categories(1)/ID/$value", 2),
        ("Products(1)/Items/$count", 2),
        ("People/O'Neil/x", 2),
    ] {
        assert_eq!(named(path).2.len(), segments, "{path}");
    }
}
