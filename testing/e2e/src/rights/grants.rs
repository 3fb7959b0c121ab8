//! What Terraform grants to whom, taken apart.

use serde::Deserialize;
use std::{collections::BTreeMap, fmt, path::Path};

/// The service that is no function.
const CONSOLE: &str = "console";

/// Who runs the `trackdrop` command: nobody that Terraform knows.
pub const PERSON: &str = "a-person";

/// What `docs/deploy.md` asks for a person who replays dead letters: role and on what.
const OF_THE_PERSON: &[(&str, &str)] = &[
    ("roles/pubsub.editor", "project PROJECT"),
    ("roles/storage.objectUser", "bucket PROJECT-trackdrop-uploads"),
    ("roles/storage.objectUser", "bucket PROJECT-trackdrop-work"),
    ("roles/storage.objectUser", "bucket PROJECT-trackdrop-results"),
    ("roles/bigquery.dataEditor", "dataset trackdrop"),
    ("projects/PROJECT/roles/trackdrop_load_jobs", "project PROJECT"),
];

/// One role that somebody has on something.
#[derive(Clone, Debug, Deserialize)]
pub struct Grant {
    /// Its address in Terraform.
    pub address: String,
    /// E-mail of the account.
    pub member: String,
    /// A predefined role or one of our own.
    pub role: String,
    /// Kind and name, such as `bucket PROJECT-trackdrop-work`.
    pub on: String,
    /// The condition, in the Common Expression Language.
    pub condition: Option<String>,
}

/// Which names a condition lets through; of several that are joined by "or", one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clause {
    /// Objects in this folder of the bucket.
    In(String),
    /// Objects of this name in any folder.
    Named(String),
}

impl Clause {
    /// The clauses of a condition. Panics at what is no such condition: the gate must not guess.
    fn all(condition: &str) -> Vec<Self> {
        let of = |term: &str| {
            let argument = |function: &str| {
                term.trim()
                    .strip_prefix(&format!("resource.name.{function}(\""))?
                    .strip_suffix("\")")
                    .map(str::to_owned)
            };
            let folder = argument("startsWith").and_then(|name| Some(name.split_once("/objects/")?.1.to_owned()));
            let known =
                folder.map(Self::In).or_else(|| Some(Self::Named(argument("endsWith")?.strip_prefix('/')?.to_owned())));
            known.unwrap_or_else(|| panic!("the gate knows no condition {condition:?}"))
        };
        condition.split("||").map(of).collect()
    }

    /// Whether it lets an object through; none is a bucket, which is in no folder.
    fn holds(&self, object: Option<&str>) -> bool {
        match (self, object) {
            (Self::In(folder), Some(object)) => object.starts_with(folder),
            (Self::Named(name), Some(object)) => object.ends_with(&format!("/{name}")),
            (_, None) => false,
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(folder) => write!(f, "{folder}"),
            Self::Named(name) => write!(f, "*/{name}"),
        }
    }
}

/// One permission of one account on one thing: the least that can be granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The account, without its project: `trackdrop-split`.
    pub account: String,
    /// Such as `storage.objects.get`.
    pub permission: String,
    /// Kind and name.
    pub on: String,
    /// To which names it is limited.
    pub only: Option<Clause>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.account, self.permission, self.on)?;
        self.only.as_ref().map_or(Ok(()), |only| write!(f, " {only}"))
    }
}

/// What a call takes: a permission on something, and on which object of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Such as `storage.objects.get`.
    pub permission: &'static str,
    /// Kind and name.
    pub on: String,
    /// The object, for conditions.
    pub object: Option<String>,
}

impl Right {
    /// Whether it is what a call takes.
    pub fn covers(&self, need: &Need) -> bool {
        let is_on = self.on == need.on
            || self.on.starts_with("project ")
            || (self.on.starts_with("dataset ") && need.on.starts_with("table "));
        let is_let_through = self.only.as_ref().is_none_or(|only| only.holds(need.object.as_deref()));
        self.permission == need.permission && is_on && is_let_through
    }
}

/// Everything that is granted.
#[derive(Clone, Debug)]
pub struct Grants {
    /// As Terraform has them.
    pub grants: Vec<Grant>,
    roles: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Predefined {
    roles: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct File {
    roles: BTreeMap<String, Vec<String>>,
    grants: Vec<Grant>,
}

impl Grants {
    /// What Terraform grants in one of its examples.
    pub fn of_example(checkout: &Path, example: &str) -> Self {
        let path = checkout.join(format!("terraform/rights/{example}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let File { mut roles, grants } =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Predefined roles, as far as they are about calls that somebody of ours makes.
        let predefined = std::fs::read_to_string(checkout.join("terraform/rights/predefined.json")).unwrap();
        let Predefined { roles: predefined } = serde_json::from_str(&predefined).unwrap();
        roles.extend(predefined);
        Self { grants, roles }
    }

    /// The grants of the functions' own accounts.
    pub fn of_functions(&self) -> impl Iterator<Item = (&str, &Grant)> {
        self.grants.iter().filter_map(|grant| Some((account_of(&grant.member)?, grant)))
    }

    /// The single rights of a grant. Panics at a predefined role that the table lacks.
    pub fn rights(&self, account: &str, grant: &Grant) -> Vec<Right> {
        let clauses = grant
            .condition
            .as_deref()
            .map_or(vec![None], |condition| Clause::all(condition).into_iter().map(Some).collect());
        let right = |permission: &str, only: &Option<Clause>| Right {
            account: account.to_owned(),
            permission: permission.to_owned(),
            on: grant.on.clone(),
            only: only.clone(),
        };
        let permissions = self.permissions(&grant.role);
        permissions.iter().flat_map(|permission| clauses.iter().map(move |only| right(permission, only))).collect()
    }

    fn permissions(&self, role: &str) -> &[String] {
        let known = self.roles.get(role);
        known.unwrap_or_else(|| panic!("{role} is not in terraform/rights/predefined.json: look its permissions up"))
    }

    /// Every right of the functions' accounts, and of the person who runs the command.
    pub fn all_rights(&self) -> Vec<Right> {
        let mut all: Vec<_> = self.of_functions().flat_map(|(account, grant)| self.rights(account, grant)).collect();
        for &(role, on) in OF_THE_PERSON {
            let (address, member) = (String::new(), PERSON.to_owned());
            let grant = Grant { address, member, role: role.to_owned(), on: on.to_owned(), condition: None };
            all.extend(self.rights(PERSON, &grant));
        }
        all
    }
}

/// The account of a function, by its e-mail.
fn account_of(member: &str) -> Option<&str> {
    let account = member.strip_suffix("@PROJECT.iam.gserviceaccount.com")?;
    let known = crate::service::FUNCTIONS.into_iter().chain([CONSOLE]);
    known.into_iter().any(|function| account == format!("trackdrop-{function}")).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(permission: &'static str, on: &str, object: Option<&str>) -> Need {
        Need { permission, on: on.to_owned(), object: object.map(str::to_owned) }
    }

    #[test]
    fn a_condition_lets_its_own_names_through_and_no_bucket() {
        let condition = "resource.name.startsWith(\"projects/_/buckets/b/objects/ended/\") || resource.name.endsWith(\"/summary.json\")";
        let clauses = Clause::all(condition);
        assert_eq!(clauses, [Clause::In("ended/".into()), Clause::Named("summary.json".into())]);
        let holds = |object| clauses.iter().any(|clause| clause.holds(object));
        assert!(holds(Some("ended/req_1")) && holds(Some("req_1/summary.json")));
        assert!(!holds(Some("tracked/req_1")) && !holds(Some("summary.json")) && !holds(None));
    }

    #[test]
    #[should_panic(expected = "the gate knows no condition")]
    fn a_condition_of_another_form_is_not_guessed() {
        Clause::all("request.time < timestamp(\"2027-01-01T00:00:00Z\")");
    }

    #[test]
    fn a_right_covers_what_it_is_for_and_nothing_beside() {
        let right = Right {
            account: "trackdrop-split".into(),
            permission: "storage.objects.create".into(),
            on: "bucket b".into(),
            only: Some(Clause::In("split_chunks/".into())),
        };
        assert!(right.covers(&need("storage.objects.create", "bucket b", Some("split_chunks/r/0.mkv"))));
        assert!(!right.covers(&need("storage.objects.create", "bucket b", Some("detections/r/0.parquet"))));
        assert!(!right.covers(&need("storage.objects.create", "bucket c", Some("split_chunks/r/0.mkv"))));
        assert!(!right.covers(&need("storage.objects.delete", "bucket b", Some("split_chunks/r/0.mkv"))));
    }
}
