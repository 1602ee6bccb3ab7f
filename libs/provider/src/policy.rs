//! Row policies as they bind one caller: which of an entity's apply, and with which values.

use std::sync::Arc;

use model::{Piece, Predicate, Variable};
use rpc::{Caller, Companies, Principal};
use uuid::Uuid;

use crate::binding::{Binding, SourceSet};
use crate::plan::{Argument, Arguments};

/// A restriction of the rows of an entity.
#[derive(Debug)]
pub(crate) struct RowPolicy {
    /// Whom it binds; nobody named: everybody but System administrators.
    pub(crate) roles: Vec<String>,
    pub(crate) predicate: Predicate,
    /// Sources that the predicate speaks of.
    pub(crate) needs: SourceSet,
}

/// The policies that a row must meet for a caller to touch it; one at least.
#[derive(Debug)]
pub(crate) struct Policies {
    actors: Vec<Actor>,
    /// Which policy of the binding, for which of the actors.
    bound: Vec<(usize, usize)>,
    needs: SourceSet,
}

/// What predicates know of one of those on whose behalf a call is made.
#[derive(Debug)]
struct Actor {
    user: String,
    companies: Option<Vec<String>>,
    roles: Vec<String>,
    contact: Option<Uuid>,
}

impl RowPolicy {
    fn binds(&self, principal: &Principal) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|it| principal.holds(it))
    }
}

// === impl Policies ===

impl Policies {
    /// Those that bind the caller, be it as the user or as who acts for the user; `None` of none.
    pub(crate) fn of(caller: &Caller, binding: &Binding) -> Option<Arc<Self>> {
        if binding.policies.is_empty() {
            return None;
        }
        let mut policies =
            Self { actors: Vec::new(), bound: Vec::new(), needs: SourceSet::default() };
        for principal in caller.principals().filter(|it| !it.is_administrator()) {
            let actor = policies.actors.len();
            for (index, policy) in binding.policies.iter().enumerate() {
                if policy.binds(principal) {
                    policies.bound.push((index, actor));
                    policies.needs = policies.needs.with(policy.needs);
                }
            }
            policies.actors.push(Actor::of(principal));
        }
        (!policies.bound.is_empty()).then(|| Arc::new(policies))
    }

    /// Sources that the predicates speak of.
    pub(crate) fn needs(&self) -> SourceSet {
        self.needs
    }

    /// The predicate of rows that meet all of them, over the aliases of the binding's sources. It can
    /// stand beside any other condition.
    pub(crate) fn predicate(&self, binding: &Binding, arguments: &mut Arguments) -> String {
        let mut known: Vec<(usize, Variable, String)> = Vec::new();
        let mut sql = String::new();
        for &(index, actor) in &self.bound {
            // The binding is the one that they were found in.
            let (Some(policy), Some(values)) =
                (binding.policies.get(index), self.actors.get(actor))
            else {
                return "false".to_owned();
            };
            sql.push_str(if sql.is_empty() { "(" } else { " AND (" });
            for piece in policy.predicate.pieces() {
                let variable = match piece {
                    Piece::Sql(it) => {
                        sql.push_str(it);
                        continue;
                    }
                    Piece::Value(it) => *it,
                };
                let is_it = |it: &&(usize, Variable, String)| (it.0, it.1) == (actor, variable);
                if let Some((.., placeholder)) = known.iter().find(is_it) {
                    sql.push_str(placeholder);
                    continue;
                }
                let (value, sql_type) = values.value(variable);
                let placeholder = format!("{}::{sql_type}", arguments.push(value));
                sql.push_str(&placeholder);
                known.push((actor, variable, placeholder));
            }
            sql.push(')');
        }
        sql
    }
}

// === impl Actor ===

impl Actor {
    fn of(principal: &Principal) -> Self {
        Self {
            user: principal.erp_user.clone(),
            companies: match &principal.companies {
                Companies::All => None,
                Companies::Only(codes) => Some(codes.clone()),
            },
            roles: principal.roles.clone(),
            contact: principal.contact,
        }
    }

    fn value(&self, variable: Variable) -> (Argument, &'static str) {
        match variable {
            Variable::User => (Argument::Text(self.user.clone()), "text"),
            Variable::Companies => (Argument::OptionalTexts(self.companies.clone()), "text[]"),
            Variable::Roles => (Argument::Texts(self.roles.clone()), "text[]"),
            Variable::Contact => (Argument::OptionalGuid(self.contact), "uuid"),
        }
    }
}
