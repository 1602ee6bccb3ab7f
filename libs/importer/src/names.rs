//! What tables and columns are called in a model: names that platforms take, labels that people read.

use std::collections::HashSet;

/// `PartyAddress` from `party_address`, `PARTY ADDRESS` or `partyAddress`. Always a name, whatever
/// the text: characters that names may not have become their code points.
pub(crate) fn pascal_case(text: &str) -> String {
    let name: String = words(text).iter().map(|it| capitalized(&ascii(it))).collect();
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        Some(_) => name,
        None => text.chars().map(code_point).collect::<String>() + "_",
    }
}

/// `Party address` from `party_address`. What is no identifier is words already.
pub(crate) fn humanised(text: &str) -> String {
    if text.chars().any(|it| !it.is_alphanumeric() && it != '_') {
        return capitalized(text);
    }
    let words = words(text).join(" ");
    if words.is_empty() { text.to_owned() } else { capitalized(&words) }
}

/// A name that SQL takes without quotes.
pub(crate) fn alias(table: &str) -> String {
    let plain = table.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' });
    let plain: String = plain.collect::<String>().to_ascii_lowercase();
    if plain.starts_with(|it: char| it.is_ascii_digit()) { format!("_{plain}") } else { plain }
}

/// Names that differ by more than letter case.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<String>);

impl Names {
    /// The name, or the first of `Name2`, `Name3` and so on that is not taken.
    pub(crate) fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.0.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        name
    }
}

/// Split where the letter case says so and at whatever is no letter or digit. A word in capitals
/// becomes small: it is a way of writing, not an abbreviation, more often than not.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous = ' ';
    for it in text.chars() {
        let begins = it.is_uppercase() && previous.is_lowercase();
        if !it.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| it.is_alphanumeric()) {
            word.push(it);
        }
        previous = it;
    }
    words.retain(|it| !it.is_empty());
    let small = |it: String| match it.chars().any(char::is_lowercase) {
        true => it,
        false => it.to_lowercase(),
    };
    words.into_iter().map(small).collect()
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn ascii(word: &str) -> String {
    let plain = |it: char| if it.is_ascii() { it.to_string() } else { code_point(it) };
    word.chars().map(plain).collect()
}

fn code_point(it: char) -> String {
    format!("U{:04X}", u32::from(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_whatever_the_text() {
        let check = |text: &str, name: &str| assert_eq!(pascal_case(text), name, "{text}");
        check("party_address", "PartyAddress");
        check("CUSTOMER_ID", "CustomerId");
        check("customerOrder", "CustomerOrder");
        check("Odd name, \"quoted\"", "OddNameQuoted");
        check("2nd_line", "_2ndLine");
        check("größe", "GrU00F6U00DFe");
        check("\" \"", "U0022U0020U0022_");
        check("a__b", "AB");
    }

    #[test]
    fn labels_keep_what_people_wrote() {
        assert_eq!(humanised("party_address"), "Party address");
        assert_eq!(humanised("größe_in_mm"), "Größe in mm");
        assert_eq!(humanised("it's done"), "It's done");
        assert_eq!(humanised("-3"), "-3");
        assert_eq!(humanised("_"), "_");
    }

    #[test]
    fn aliases_need_no_quotes() {
        assert_eq!(alias("party_address"), "party_address");
        assert_eq!(alias("2 Öl"), "_2__l");
    }

    #[test]
    fn names_do_not_differ_by_case_alone() {
        let mut names = Names::default();
        let taken: Vec<_> = ["Ab", "AB", "ab2", "ab"].iter().map(|it| names.take(it)).collect();
        assert_eq!(taken, ["Ab", "AB2", "ab22", "ab3"]);
    }
}
