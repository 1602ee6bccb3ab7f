//! Whether the teams that own rows may: of companies, and of rows without one (spec A13, A16, A22).

use proto::dual_write::v1::{HealthCheck, Link, Side, TableMap};

use super::look::{Company, Found, Gap, Seen};
use super::result;
use crate::core::Core;
use crate::map::Owner;

const SIDE: Side = Side::Platform;
const NUMBER: u32 = 1007;
const HELP: &str = "Set the default owning team of these companies, and give teams that own rows the roles that \
                    they lack.";

/// What a team is to own.
struct Owned<'a> {
    /// Platform tables.
    company_tables: Vec<&'a str>,
    /// Platform tables, and the team that the map names.
    global_tables: Vec<(&'a str, Option<Owner>)>,
}

/// Of maps that run, are paused or are about to start.
pub(super) fn check(core: &Core, link: &Link, seen: &Seen, starting: &[TableMap]) -> HealthCheck {
    let unreadable = |what: &str| {
        result(SIDE, NUMBER, format!("{what} cannot be read."), HELP, Vec::new(), false)
    };
    let Found::Some(companies) = seen.companies(SIDE) else {
        return unreadable("The companies' default owning teams");
    };
    let gaps = match &seen.gaps {
        Found::Some(gaps) => gaps.as_slice(),
        // The platform knows no roles of teams, and asks none for any.
        Found::Unknown => &[],
        Found::Failed(_) => return unreadable("The roles of teams"),
    };
    let schemas = core.maps.tables().get().ok();
    let has_owner = |table: &str| {
        let table = schemas.as_ref().and_then(|it| it.get(SIDE, table));
        table.is_some_and(|it| it.column("owningteam").is_some())
    };
    let maps = core.maps.all();
    let configured = maps.iter().filter(|it| it.is_configured()).map(|it| &it.table_map);
    let (of_companies, of_all): (Vec<_>, Vec<_>) =
        configured.chain(starting).partition(|it| it.company_specific);
    let global = of_all.into_iter().filter(|it| has_owner(&it.platform_table));
    let owned = Owned {
        company_tables: of_companies.iter().map(|it| it.platform_table.as_str()).collect(),
        global_tables: global
            .map(|it| (it.platform_table.as_str(), Owner::parse(&it.owning_team)))
            .collect(),
    };
    let known = |code: &&String| companies.iter().find(|it| it.code.eq_ignore_ascii_case(code));
    let (subjects, findings) =
        owned.findings(link.companies.iter().filter_map(|it| known(&it)), gaps);
    let passed = findings.is_empty();
    let message = match passed {
        true => "Every linked company has a default owning team, and teams may own their rows."
            .to_owned(),
        false => findings.join(" "),
    };
    result(SIDE, NUMBER, message, HELP, subjects, passed)
}

impl Owned<'_> {
    /// Which companies and teams something is wrong with, and what.
    fn findings<'c>(
        &self,
        companies: impl Iterator<Item = &'c Company>,
        gaps: &[Gap],
    ) -> (Vec<String>, Vec<String>) {
        let (mut subjects, mut without, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for company in companies {
            if company.lacks_team {
                subjects.push(company.code.clone());
                without.push(company.code.clone());
            }
            let gap = gaps.iter().find(|it| company.team.as_ref() == Some(&it.team));
            if let Some(finding) = gap.and_then(|it| it.finding(&self.company_tables)) {
                subjects.push(company.code.clone());
                findings.push(finding);
            }
        }
        if !without.is_empty() {
            let list = without.join(", ");
            findings.insert(0, format!("Companies have no default owning team: {list}."));
        }
        for gap in gaps {
            let owns = |owner: &Option<Owner>| match owner {
                None => gap.owns_global_rows,
                Some(Owner::Id(id)) => *id == gap.team_id,
                Some(Owner::Name(name)) => name.eq_ignore_ascii_case(&gap.team),
            };
            let tables = self.global_tables.iter().filter(|it| owns(&it.1));
            let tables: Vec<_> = tables.map(|it| it.0).collect();
            if let Some(finding) = gap.finding(&tables).filter(|_| !tables.is_empty()) {
                subjects.push(gap.team.clone());
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        (subjects, findings)
    }
}

impl Gap {
    /// Why the team may not own rows of these tables.
    fn finding(&self, tables: &[&str]) -> Option<String> {
        let team = &self.team;
        if let Some(roles) = &self.roles {
            return Some(format!("The team {team} owns rows and lacks roles: {roles}."));
        }
        let unread = self.unread.iter().filter(|it| tables.contains(&it.as_str()));
        let unread: Vec<_> = unread.map(String::as_str).collect();
        (!unread.is_empty()).then(|| {
            let list = unread.join(", ");
            format!("The team {team} owns rows that no role of it reads: {list}.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(code: &str, team: Option<&str>) -> Company {
        Company { code: code.into(), team: team.map(str::to_owned), lacks_team: team.is_none() }
    }

    fn gap(team: &str, roles: Option<&str>, unread: &[&str]) -> Gap {
        Gap {
            team: team.into(),
            team_id: vec![7; 16],
            roles: roles.map(str::to_owned),
            unread: unread.iter().map(|it| (*it).to_owned()).collect(),
            owns_global_rows: false,
        }
    }

    #[test]
    fn who_owns_nothing_may_lack_everything() {
        let owned = Owned { company_tables: vec!["account"], global_tables: Vec::new() };
        let usmf = company("USMF", Some("USMF Dual Write"));
        let check = |gaps: &[Gap]| owned.findings(std::iter::once(&usmf), gaps);
        assert!(check(&[]).0.is_empty());
        assert!(check(&[gap("DEMF", Some("Dual-write app user"), &[])]).0.is_empty());
        assert!(check(&[gap("USMF Dual Write", None, &["contact"])]).0.is_empty());
        let (subjects, findings) = check(&[gap("USMF Dual Write", None, &["account", "contact"])]);
        assert_eq!(subjects, ["USMF"]);
        assert_eq!(
            findings,
            ["The team USMF Dual Write owns rows that no role of it reads: account."]
        );
        let (subjects, findings) =
            check(&[gap("USMF Dual Write", Some("Dual-write app user"), &[])]);
        assert_eq!(subjects, ["USMF"]);
        assert_eq!(
            findings,
            ["The team USMF Dual Write owns rows and lacks roles: Dual-write app user."]
        );
    }

    #[test]
    fn rows_without_company_are_the_roots_or_the_maps() {
        let of = |owner: Option<Owner>| Owned {
            company_tables: Vec::new(),
            global_tables: vec![("msdyn_countryregion", owner)],
        };
        let sales = || gap("Sales", None, &["msdyn_countryregion"]);
        let root = Gap { owns_global_rows: true, ..sales() };
        let found = |owned: &Owned<'_>, gap: Gap| owned.findings(std::iter::empty(), &[gap]).0;
        assert_eq!(found(&of(None), root.clone()), ["Sales"]);
        assert!(found(&of(None), sales()).is_empty());
        assert_eq!(found(&of(Owner::parse("sales")), sales()), ["Sales"]);
        assert_eq!(found(&of(Some(Owner::Id(vec![7; 16]))), sales()), ["Sales"]);
        assert!(found(&of(Owner::parse("Other")), root).is_empty());
        let none = Owned { company_tables: Vec::new(), global_tables: Vec::new() };
        assert!(
            found(&none, Gap { owns_global_rows: true, ..gap("Sales", Some("x"), &[]) }).is_empty()
        );
    }

    #[test]
    fn a_company_without_a_team_is_named_first() {
        let owned = Owned { company_tables: Vec::new(), global_tables: Vec::new() };
        let companies = [company("USMF", Some("T")), company("POOR", None)];
        let gaps = [gap("T", Some("Dual-write runtime user"), &[])];
        let (subjects, findings) = owned.findings(companies.iter(), &gaps);
        assert_eq!(subjects, ["USMF", "POOR"]);
        assert_eq!(findings[0], "Companies have no default owning team: POOR.");
        assert_eq!(findings.len(), 2);
    }
}
