//! In which order the SQL runs: tables, fixed rows, generated rows, then what would slow those down.

/// Scripts that run once.
pub(crate) struct Step {
    /// For people.
    pub(crate) label: &'static str,
    /// Each may hold several statements.
    pub(crate) scripts: &'static [&'static str],
}

/// One statement that inserts the rows made from the indexes `$1` up to, not including, `$2`.
pub(crate) struct Generator {
    /// For people.
    pub(crate) label: &'static str,
    pub(crate) sql: &'static str,
    /// How many indexes there are.
    pub(crate) count: u64,
}

pub(crate) const PREPARE: [Step; 2] = [
    Step {
        label: "Tables",
        scripts: &[
            include_str!("../sql/drop.sql"),
            include_str!("../sql/tables/organization.sql"),
            include_str!("../sql/tables/parties.sql"),
            include_str!("../sql/tables/trade.sql"),
            include_str!("../sql/tables/products.sql"),
            include_str!("../sql/tables/sales.sql"),
        ],
    },
    Step {
        label: "Legal entities",
        scripts: &[
            include_str!("../sql/seed/organization.sql"),
            include_str!("../sql/generators.sql"),
        ],
    },
];

/// What later versions added, for a demo ERP of an earlier one.
pub(crate) const ADDED: &str = include_str!("../sql/portal_users.sql");

pub(crate) const COMPLETE: [Step; 4] = [
    Step {
        label: "Keys and indexes",
        scripts: &[
            include_str!("../sql/constraints/keys.sql"),
            include_str!("../sql/constraints/references.sql"),
            include_str!("../sql/constraints/indexes.sql"),
        ],
    },
    Step {
        label: "Business logic",
        scripts: &[
            include_str!("../sql/logic/numbers.sql"),
            include_str!("../sql/logic/parties.sql"),
            include_str!("../sql/logic/accounts.sql"),
            include_str!("../sql/logic/orders.sql"),
            include_str!("../sql/logic/order_lines.sql"),
            include_str!("../sql/logic/records.sql"),
            include_str!("../sql/logic/actions.sql"),
        ],
    },
    Step { label: "Number sequences", scripts: &[include_str!("../sql/finish.sql")] },
    Step { label: "Portal users", scripts: &[ADDED] },
];

/// All generated rows of a scale. Every count grows with it and never shrinks, so that a larger
/// database begins with the rows of a smaller one.
pub(crate) fn generators(customers: u64) -> Vec<Generator> {
    let vendors = 20 + customers / 10;
    let products = 500 + customers / 20;
    let orders = customers / 2;
    // Parties 0 to 15 are the legal entities'; customers have the even slots, vendors the odd ones.
    let party_slots = 16 + 2 * customers.max(vendors);
    let generator = |label, sql, count| Generator { label, sql, count };
    vec![
        generator(
            "Customer parties",
            include_str!("../sql/generate/customer_parties.sql"),
            customers,
        ),
        generator("Vendor parties", include_str!("../sql/generate/vendor_parties.sql"), vendors),
        generator("Addresses", include_str!("../sql/generate/addresses.sql"), party_slots),
        generator("Contacts", include_str!("../sql/generate/contacts.sql"), party_slots),
        generator("Address book", include_str!("../sql/generate/parties.sql"), party_slots),
        generator("Customers", include_str!("../sql/generate/customers.sql"), customers),
        generator("Vendors", include_str!("../sql/generate/vendors.sql"), vendors),
        generator("Products", include_str!("../sql/generate/products.sql"), products),
        generator(
            "Product names",
            include_str!("../sql/generate/product_translations.sql"),
            products,
        ),
        generator(
            "Released products",
            include_str!("../sql/generate/released_products.sql"),
            products,
        ),
        generator("Item prices", include_str!("../sql/generate/item_prices.sql"), products),
        generator(
            "Trade agreements",
            include_str!("../sql/generate/trade_agreements.sql"),
            customers,
        ),
        generator("Sales order lines", include_str!("../sql/generate/sales_lines.sql"), orders),
        generator("Sales orders", include_str!("../sql/generate/sales_orders.sql"), orders),
    ]
}
