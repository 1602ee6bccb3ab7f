//! What an environment's directory needs before anybody works in it: its first System administrator, and the
//! applications that the two halves call each other as. Done twice, it is as done once.

use rpc::{Companies, role};
use uuid::Uuid;

use crate::content::{Content, Entry as _, Source, User, Violation, check_user};
use crate::error::Error;

/// An application that calls as itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) client_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) erp_user: String,
}

/// Makes a user of another directory, or of this one, a System administrator.
pub(crate) fn make_administrator(content: &mut Content, person: &User) -> Result<(), Error> {
    let mut user = match content.get::<User>(&person.name) {
        Some(known) => User::clone(known),
        None => User {
            roles: Vec::new(),
            disabled: false,
            locked: false,
            acts_on_behalf: false,
            serves_portal: false,
            source: Source::Administrator,
            ..person.clone()
        },
    };
    if !user.is_administrator() {
        user.roles.push(role::SYSTEM_ADMINISTRATOR.to_owned());
        user.companies = Companies::All;
    }
    user.display_name.clone_from(&person.display_name);
    user.object_id = person.object_id;
    put(content, user)
}

/// Makes the application's user, who holds nothing but the role of such applications.
pub(crate) fn register(content: &mut Content, application: &Application) -> Result<(), Error> {
    let client_id = application.client_id.to_string();
    let is_of = |it: &User| {
        it.application_id.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(&client_id))
    };
    let known = content.users.values().find(|it| is_of(it)).map(|it| User::clone(it));
    let mut user = match known {
        Some(known) => known,
        None if content.get::<User>(&client_id).is_some() => {
            let reason = "is the name of a user that is not this application's".to_owned();
            return Err(invalid(&client_id, "client_id", reason));
        }
        None => User {
            display_name: application.display_name.clone(),
            object_id: application.client_id,
            application_id: Some(client_id.clone()),
            ..User::named(&client_id)
        },
    };
    if !user.holds(role::VIRTUAL_ENTITY_APPLICATION) {
        user.roles.push(role::VIRTUAL_ENTITY_APPLICATION.to_owned());
    }
    user.erp_user.clone_from(&application.erp_user);
    put(content, user)
}

pub(crate) fn invalid(user: &str, field: &'static str, reason: String) -> Error {
    Error::Invalid(vec![Violation {
        resource: format!("{}/{user}", User::COLLECTION),
        field,
        reason,
    }])
}

fn put(content: &mut Content, user: User) -> Result<(), Error> {
    let mut found = Vec::new();
    content.put(user.clone());
    check_user(&user, content, &mut found);
    if found.is_empty() { Ok(()) } else { Err(Error::Invalid(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founded() -> Content {
        let mut content = Content::default();
        content.found();
        content
    }

    fn application(erp_user: &str) -> Application {
        let (client_id, display_name) = (Uuid::from_u128(7), "PowerPlatformApplication".to_owned());
        Application { client_id, display_name, erp_user: erp_user.to_owned() }
    }

    #[test]
    fn an_administrator_comes_with_its_ids_and_without_what_it_was_elsewhere() {
        let person = User {
            object_id: Uuid::from_u128(3),
            roles: vec!["Clerk".into(), role::PROJECT_OWNER.into()],
            disabled: true,
            acts_on_behalf: true,
            source: Source::Model,
            ..User::named("alice")
        };
        let mut content = founded();
        for _ in 0..2 {
            make_administrator(&mut content, &person).unwrap();
            let made = content.get::<User>("alice").unwrap();
            assert_eq!(made.roles, [role::SYSTEM_ADMINISTRATOR]);
            assert_eq!(
                (made.object_id, made.system_user_id),
                (person.object_id, person.system_user_id)
            );
            assert_eq!(made.companies, Companies::All);
            assert_eq!(made.source, Source::Administrator);
            assert!(!made.disabled && !made.acts_on_behalf);
        }
    }

    #[test]
    fn who_is_known_keeps_its_roles_and_stays_disabled() {
        let mut content = founded();
        let roles = vec![role::PROJECT_OWNER.to_owned()];
        content.put(User { roles, disabled: true, locked: true, ..User::named("alice") });
        make_administrator(&mut content, &User::named("alice")).unwrap();
        let made = content.get::<User>("alice").unwrap();
        assert!(made.is_administrator() && made.holds(role::PROJECT_OWNER) && made.locked);
        let same_object = User { object_id: made.object_id, ..User::named("bob") };
        assert!(make_administrator(&mut content, &same_object).is_err());
    }

    #[test]
    fn an_application_has_one_user() {
        let mut content = founded();
        for _ in 0..2 {
            register(&mut content, &application("PowerPlatformApp")).unwrap();
        }
        let made = content.get::<User>(&Uuid::from_u128(7).to_string()).unwrap().clone();
        assert_eq!(made.roles, [role::VIRTUAL_ENTITY_APPLICATION]);
        assert_eq!(made.companies, Companies::Only(Vec::new()));
        assert_eq!(content.users.len(), 2);
        assert!(register(&mut content, &application(" ")).is_err());

        let mut content = founded();
        let known = User { application_id: made.application_id.clone(), ..User::named("app") };
        content.put(known);
        register(&mut content, &application("PowerPlatformApp")).unwrap();
        assert!(content.get::<User>("app").unwrap().holds(role::VIRTUAL_ENTITY_APPLICATION));
        assert_eq!(content.users.len(), 2);
    }

    #[test]
    fn an_application_takes_nobodys_name() {
        let mut content = founded();
        content.put(User::named(&Uuid::from_u128(7).to_string()));
        assert!(register(&mut content, &application("PowerPlatformApp")).is_err());
    }
}
