//! Who acts, told to the database, so that its own triggers and functions know.

use rpc::{Caller, Companies};

use super::argument::{Argument, Arguments};

/// The calls that set the acting user's settings for the rest of the transaction, as a list of columns:
/// `tombolo.user`, the ERP's own id of the user; `tombolo.systemuser`, the row id of the platform's;
/// `tombolo.contact`, the portal contact that the user stands for, empty for others; and
/// `tombolo.companies`, the codes of the legal entities whose rows the user may touch, separated by
/// commas, or `*` for every one. And `tombolo.origin`, which says in the log that another side's changes are
/// applied; empty: they are not. `tombolo.skip_business_events` is off, whatever the session was left with; what
/// the database itself runs may set it.
pub(crate) fn settings(caller: &Caller, origin: &str, arguments: &mut Arguments) -> String {
    let settings = [
        ("tombolo.user", caller.user.erp_user.replace('\0', "")),
        ("tombolo.systemuser", caller.user.system_user_id.to_string()),
        ("tombolo.contact", caller.user.contact.map(|it| it.to_string()).unwrap_or_default()),
        ("tombolo.companies", companies(caller)),
        ("tombolo.origin", origin.replace('\0', "")),
        ("tombolo.skip_business_events", String::new()),
    ];
    let set = settings.map(|(name, value)| {
        let value = arguments.push(Argument::Text(value));
        format!("set_config('{name}', {value}::text, true)")
    });
    set.join(", ")
}

fn companies(caller: &Caller) -> String {
    match &caller.rights.companies {
        _ if caller.rights.administrator => "*".to_owned(),
        Companies::All => "*".to_owned(),
        Companies::Only(codes) => {
            // A code that could be read as several, or as all, names none.
            let plain = |it: &&String| !it.contains([',', '*', '\0']);
            let codes: Vec<&str> = codes.iter().filter(plain).map(String::as_str).collect();
            codes.join(",")
        }
    }
}
